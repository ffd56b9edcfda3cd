// Embeddings as bytes, through the Segmenter: what comes back, and what is refused.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::Click;
using testing::EncodeOne;
using testing::MakeImage;
using testing::MakeSegmenter;

constexpr std::array<StorageFormat, 3> kFormats = {StorageFormat::kFp32, StorageFormat::kFp16,
                                                   StorageFormat::kInt8};
constexpr ImageSize kSize = {100, 130};
constexpr size_t kHeaderBytes = 112;

StoredEmbedding StoreOrDie(const Segmenter& segmenter, const Embedding& embedding,
                           StorageFormat format) {
  absl::StatusOr<StoredEmbedding> stored = segmenter.Store(embedding, format);
  EXPECT_TRUE(stored.ok()) << stored.status();
  return stored.ok() ? *std::move(stored) : StoredEmbedding();
}

DecodeResult DecodeOne(Segmenter& segmenter, std::shared_ptr<const Embedding> embedding) {
  const DecodeRequest request = {.embedding = std::move(embedding),
                                 .prompts = {Click(.2f, .3f), Click(.7f, .6f)},
                                 .levels = {1, 2, 3, 4, 5, 6}};
  auto results = segmenter.Decode({&request, 1});
  EXPECT_TRUE(results[0].ok()) << results[0].status();
  return results[0].ok() ? *std::move(results[0]) : DecodeResult();
}

void ExpectNear(const DecodeResult& a, const DecodeResult& b, double tolerance) {
  ASSERT_EQ(a.logits.size(), b.logits.size());
  for (size_t i = 0; i < a.logits.size(); ++i) ASSERT_NEAR(a.logits[i], b.logits[i], tolerance);
}

// Weights, and whether on LibTorch's own operators.
class Sizes : public ::testing::TestWithParam<std::tuple<const char*, bool>> {};

TEST_P(Sizes, AreKnownBeforeAnImageIsEncoded) {
  const auto segmenter = MakeSegmenter(std::get<0>(GetParam()), std::get<1>(GetParam()));
  for (const ImageSize size : {ImageSize{64, 64}, {100, 130}, {20, 90}, {161, 33}, {96, 320}}) {
    const auto embedding = EncodeOne(*segmenter, MakeImage(size, 1));
    EXPECT_EQ(segmenter->EmbeddingBytes(size), embedding->size_bytes())
        << size.height << " x " << size.width;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Sizes,
                         ::testing::Values(std::tuple{"default", false},
                                           std::tuple{"default", true},
                                           std::tuple{"formula:swin-tiny", false},
                                           std::tuple{"formula:swin-tiny", true},
                                           std::tuple{"formula:swin-t", false}),
                         [](const auto& info) { return absl::StrCat("Model", info.index); });

class Stored : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    segmenter_ = MakeSegmenter("formula:swin-tiny").release();
    embedding_ = new std::shared_ptr<const Embedding>(EncodeOne(*segmenter_, MakeImage(kSize, 1)));
  }

  static Segmenter& segmenter() { return *segmenter_; }
  static const std::shared_ptr<const Embedding>& embedding() { return *embedding_; }
  static StoredEmbedding Store(StorageFormat format) {
    return StoreOrDie(segmenter(), *embedding(), format);
  }
  static void ExpectRefused(const StoredEmbedding& stored, std::string_view field) {
    const absl::Status status = segmenter().Load(stored).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ErrorField(status), field) << status;
  }

 private:
  static Segmenter* segmenter_;
  static std::shared_ptr<const Embedding>* embedding_;
};

Segmenter* Stored::segmenter_ = nullptr;
std::shared_ptr<const Embedding>* Stored::embedding_ = nullptr;

TEST_F(Stored, AsFloatsComesBackInEveryBit) {
  const StoredEmbedding stored = Store(StorageFormat::kFp32);
  EXPECT_EQ(stored.format, StorageFormat::kFp32);
  EXPECT_EQ(stored.model_digest, segmenter().info().digest);
  EXPECT_EQ(stored.network_size, kSize);
  const auto loaded = segmenter().Load(stored);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->size_bytes(), embedding()->size_bytes());
  EXPECT_EQ((*loaded)->network_size(), kSize);
  const DecodeResult ours = DecodeOne(segmenter(), *loaded);
  const DecodeResult original = DecodeOne(segmenter(), embedding());
  EXPECT_EQ(ours.logits, original.logits);
  EXPECT_EQ(ours.query_embeddings, original.query_embeddings);
  EXPECT_EQ(StoreOrDie(segmenter(), **loaded, StorageFormat::kFp32).bytes, stored.bytes);
}

TEST_F(Stored, RoundedDecodesNearlyAlike) {
  const DecodeResult original = DecodeOne(segmenter(), embedding());
  for (const auto& [format, tolerance] :
       {std::pair{StorageFormat::kFp16, 0.02}, {StorageFormat::kInt8, 0.5}}) {
    const auto loaded = segmenter().Load(Store(format));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ((*loaded)->size_bytes(), embedding()->size_bytes());
    const DecodeResult rounded = DecodeOne(segmenter(), *loaded);
    ExpectNear(rounded, original, tolerance);
    EXPECT_NE(rounded.logits, original.logits);
  }
}

TEST_F(Stored, TakesAHalfAndAQuarterOfTheBytes) {
  const size_t numbers = static_cast<size_t>(embedding()->size_bytes()) / 4;
  const size_t scales = 2 * 4 * segmenter().info().config.pixel_decoder.hidden_dim;
  EXPECT_EQ(Store(StorageFormat::kFp32).bytes.size(), kHeaderBytes + 4 * numbers);
  EXPECT_EQ(Store(StorageFormat::kFp16).bytes.size(), kHeaderBytes + 2 * numbers);
  EXPECT_EQ(Store(StorageFormat::kInt8).bytes.size(), kHeaderBytes + scales + numbers);
}

TEST_F(Stored, IsTheEmbeddingWithoutItsProjectedValues) {
  const auto projected = segmenter().ProjectValues(embedding());
  ASSERT_TRUE(projected.ok()) << projected.status();
  for (const StorageFormat format : kFormats) {
    EXPECT_EQ(StoreOrDie(segmenter(), **projected, format).bytes, Store(format).bytes);
  }
}

TEST_F(Stored, ByAnotherModelIsRefused) {
  const auto other = MakeSegmenter("formula:swin-tiny-extended");
  const StoredEmbedding foreign =
      StoreOrDie(*other, *EncodeOne(*other, MakeImage(kSize, 1)), StorageFormat::kFp32);
  ExpectRefused(foreign, "stored.model_digest");
  const absl::Status status =
      segmenter().Store(*EncodeOne(*other, MakeImage(kSize, 1)), StorageFormat::kFp32).status();
  EXPECT_EQ(ErrorField(status), "embedding") << status;
}

TEST_F(Stored, InAFormatThatNobodyKnowsIsRefused) {
  const auto unknown = static_cast<StorageFormat>(17);
  EXPECT_EQ(ErrorField(segmenter().Store(*embedding(), unknown).status()), "format");
  StoredEmbedding stored = Store(StorageFormat::kFp32);
  stored.format = unknown;
  ExpectRefused(stored, "stored.bytes");
}

TEST_F(Stored, OfAnotherSizeOrFormatThanItSaysIsRefused) {
  for (const StorageFormat format : kFormats) {
    StoredEmbedding stored = Store(format);
    for (const ImageSize size : {ImageSize{101, 130}, {100, 260}}) {
      stored.network_size = size;
      ExpectRefused(stored, "stored.network_size");
    }
    constexpr int kMost = std::numeric_limits<int>::max();
    for (const ImageSize size : {ImageSize{0, 130}, {100, -1}, {kMost, kMost}}) {
      stored.network_size = size;
      ExpectRefused(stored, "stored.network_size");
    }
    stored.network_size = kSize;
    for (const StorageFormat other : kFormats) {
      stored.format = other;
      if (other != format) ExpectRefused(stored, "stored.bytes");
    }
  }
}

TEST_F(Stored, CutAnywhereOrMadeLongerIsRefused) {
  for (const StorageFormat format : kFormats) {
    const StoredEmbedding whole = Store(format);
    std::vector<size_t> lengths;
    for (size_t length = 0; length <= 2 * kHeaderBytes; ++length) lengths.push_back(length);
    for (size_t i = 1; i < 50; ++i) lengths.push_back(whole.bytes.size() * i / 50);
    lengths.push_back(whole.bytes.size() - 1);
    StoredEmbedding cut = whole;
    for (const size_t length : lengths) {
      cut.bytes = whole.bytes.substr(0, length);
      ExpectRefused(cut, "stored.bytes");
    }
    cut.bytes = whole.bytes + '\0';
    ExpectRefused(cut, "stored.bytes");
  }
}

TEST_F(Stored, WithAnyBitOfItsHeaderFlippedIsRefused) {
  for (const StorageFormat format : kFormats) {
    StoredEmbedding stored = Store(format);
    for (size_t bit = 0; bit < 8 * kHeaderBytes; ++bit) {
      const auto mask = static_cast<char>(1 << bit % 8);
      stored.bytes[bit / 8] ^= mask;
      EXPECT_EQ(segmenter().Load(stored).status().code(), absl::StatusCode::kInvalidArgument)
          << bit;
      stored.bytes[bit / 8] ^= mask;
    }
    EXPECT_TRUE(segmenter().Load(stored).ok());
  }
}

// Sets `count` bytes of the header and makes its check right again.
void Forge(std::string& bytes, size_t at, int64_t value, size_t count) {
  std::memcpy(bytes.data() + at, &value, count);
  std::memset(bytes.data() + 12, 0, 4);
  uint32_t check = 2166136261u;
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    check = (check ^ static_cast<unsigned char>(bytes[i])) * 16777619u;
  }
  std::memcpy(bytes.data() + 12, &check, 4);
}

TEST_F(Stored, WithAForgedHeaderIsRefused) {
  for (const StorageFormat format : kFormats) {
    const StoredEmbedding whole = Store(format);
    for (const size_t record : {size_t{32}, size_t{72}}) {
      // Sizes and lengths whose product overflows, is negative, or is merely another.
      for (const size_t field : {8, 16, 24, 32}) {
        int64_t truth = 0;
        std::memcpy(&truth, whole.bytes.data() + record + field, 8);
        for (const int64_t value :
             {int64_t{0}, int64_t{-1}, truth + 1, truth - 1, 4 * truth, int64_t{1} << 32,
              int64_t{1} << 61, -truth, std::numeric_limits<int64_t>::max()}) {
          StoredEmbedding forged = whole;
          Forge(forged.bytes, record + field, value, 8);
          if (forged.bytes != whole.bytes) ExpectRefused(forged, "stored.bytes");
        }
      }
      for (const int64_t kind : {0, 4, 255}) {
        StoredEmbedding forged = whole;
        Forge(forged.bytes, record, kind, 4);
        ExpectRefused(forged, "stored.bytes");
        forged = whole;
        Forge(forged.bytes, record + 4, kind == 4 ? 5 : kind, 4);
        ExpectRefused(forged, "stored.bytes");
      }
    }
    // The memory has numbers below 0.
    StoredEmbedding unsigned_memory = whole;
    Forge(unsigned_memory.bytes, 36, 4, 4);
    ExpectRefused(unsigned_memory, "stored.bytes");
    for (const size_t field : {8, 24}) {  // version, count of tensors
      StoredEmbedding forged = whole;
      Forge(forged.bytes, field, 1000000, 4);
      ExpectRefused(forged, "stored.bytes");
    }
  }
}

TEST_F(Stored, WithAScaleThatIsNoNumberIsRefused) {
  for (const float scale : {NAN, INFINITY, -1.0f}) {
    StoredEmbedding stored = Store(StorageFormat::kInt8);
    std::memcpy(stored.bytes.data() + kHeaderBytes, &scale, sizeof(scale));
    ExpectRefused(stored, "stored.bytes");
  }
}

TEST_F(Stored, WhileTheModelDecodesIsTheSame) {
  std::array<std::string, kFormats.size()> expected;
  for (size_t i = 0; i < kFormats.size(); ++i) expected[i] = Store(kFormats[i]).bytes;
  const DecodeResult alone = DecodeOne(segmenter(), embedding());
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 2; ++writer) {
    writers.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        EXPECT_EQ(segmenter().EmbeddingBytes(kSize), embedding()->size_bytes());
        for (size_t i = 0; i < kFormats.size(); ++i) {
          EXPECT_TRUE(Store(kFormats[i]).bytes == expected[i]);
        }
      }
    });
  }
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(DecodeOne(segmenter(), embedding()).logits, alone.logits);
  }
  for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace semsam
