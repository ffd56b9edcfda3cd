// What becomes of calls that the device has no memory for, or that fail inside it.
#include "server/pipeline/resilient_segmenter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "tests/fakes/fake_segmenter.h"
#include "tests/fakes/metric_value.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// The fake on a device that holds so many images, prompts and words at a time, and that
// fails over whatever has a prompt at kPoison beside it.
class SmallDevice final : public Segmenter {
 public:
  static constexpr float kPoison = 0.75f;

  explicit SmallDevice(size_t room) : room_(room) {}

  const ModelInfo& info() const override { return fake_.info(); }

  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> Encode(
      absl::Span<const Rgb8Image* const> images) override {
    calls_.push_back(images.size());
    if (images.size() > room_) return {images.size(), NoMemory()};
    return fake_.Encode(images);
  }

  std::vector<absl::StatusOr<DecodeResult>> Decode(
      absl::Span<const DecodeRequest> requests) override {
    size_t prompts = 0;
    bool poisoned = false;
    for (const DecodeRequest& request : requests) {
      prompts += request.prompts.size();
      for (const Prompt& prompt : request.prompts) poisoned |= prompt.cx == kPoison;
    }
    calls_.push_back(prompts);
    if (prompts > room_) return {requests.size(), NoMemory()};
    if (poisoned) return {requests.size(), absl::InternalError("an assertion of the device")};
    return fake_.Decode(requests);
  }

  int64_t EmbeddingBytes(ImageSize network_size) const override {
    return fake_.EmbeddingBytes(network_size);
  }
  absl::StatusOr<MemoryUse> Memory() const override { return fake_.Memory(); }
  absl::StatusOr<StoredEmbedding> Store(const Embedding& embedding,
                                        StorageFormat format) const override {
    return fake_.Store(embedding, format);
  }
  absl::StatusOr<std::shared_ptr<const Embedding>> Load(
      const StoredEmbedding& /*stored*/) override {
    return NoMemory();
  }

  absl::StatusOr<std::shared_ptr<const Embedding>> ProjectValues(
      const std::shared_ptr<const Embedding>& /*embedding*/) override {
    return NoMemory();
  }

  absl::StatusOr<std::vector<float>> EncodeText(absl::Span<const std::string> terms,
                                                TextMode mode) override {
    calls_.push_back(terms.size());
    if (terms.size() > room_) return NoMemory();
    return fake_.EncodeText(terms, mode);
  }

  absl::StatusOr<std::vector<float>> ScoreLabels(
      LabelHead head, absl::Span<const float> query_embeddings,
      absl::Span<const float> text_embeddings) const override {
    return fake_.ScoreLabels(head, query_embeddings, text_embeddings);
  }

  std::vector<absl::StatusOr<VocabularyResult>> SegmentVocabulary(
      absl::Span<const VocabularyRequest> requests) override {
    return {requests.size(), NoMemory()};
  }

  FakeSegmenter& fake() { return fake_; }
  // Of each call: its images, prompts or words.
  const std::vector<size_t>& calls() const { return calls_; }

 private:
  static absl::Status NoMemory() {
    return absl::ResourceExhaustedError("out of memory: tried to allocate 2.00 GiB, see secret.cc");
  }

  const size_t room_;
  FakeSegmenter fake_{{.config = WithWords(SwinT())}};
  std::vector<size_t> calls_;
};

class ResilientSegmenterTest : public ::testing::Test {
 protected:
  void Start(size_t room) {
    device_ = std::make_unique<SmallDevice>(room);
    segmenter_ = std::make_unique<ResilientSegmenter>(*device_, absl::Milliseconds(250), metrics_);
    const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
    auto embedding = device_->fake().Encode({&image});
    ASSERT_TRUE(embedding.front().ok());
    embedding_ = *embedding.front();
  }

  DecodeRequest Clicks(const std::vector<float>& at) const {
    DecodeRequest request{.embedding = embedding_, .levels = {1, 2}};
    for (const float x : at) {
      request.prompts.push_back({.cx = x, .cy = 0.5f});
    }
    return request;
  }

  std::string Retries(const char* cause) const {
    return MetricValue(metrics_, absl::StrCat("semsam_model_retries_total{cause=\"", cause, "\"}"));
  }

  Metrics metrics_{{}};
  std::unique_ptr<SmallDevice> device_;
  std::unique_ptr<ResilientSegmenter> segmenter_;
  std::shared_ptr<const Embedding> embedding_;
};

void ExpectSame(const DecodeResult& a, const DecodeResult& b) {
  EXPECT_EQ(a.logits, b.logits);
  EXPECT_EQ(a.query_embeddings, b.query_embeddings);
  ASSERT_EQ(a.scores.size(), b.scores.size());
  for (size_t i = 0; i < a.scores.size(); ++i) {
    EXPECT_EQ(a.scores[i].prompt, b.scores[i].prompt);
    EXPECT_EQ(a.scores[i].level, b.scores[i].level);
    EXPECT_EQ(a.scores[i].predicted_iou, b.scores[i].predicted_iou);
    EXPECT_EQ(a.scores[i].box.cx, b.scores[i].box.cx);
    EXPECT_EQ(a.scores[i].box.w, b.scores[i].box.w);
  }
}

void ExpectMemoryFull(const absl::Status& status) {
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(ErrorReason(status), reason::kMemoryFull);
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(250));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

TEST_F(ResilientSegmenterTest, ALostDeviceIsNotAskedAgain) {
  int calls = 0;
  FakeSegmenter lost({.on_encode = [&calls] {
    ++calls;
    return DeviceFault("CUDA error: an illegal memory access");
  }});
  ResilientSegmenter segmenter(lost, absl::Milliseconds(250), metrics_);
  EXPECT_TRUE(segmenter.fault().ok());
  const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
  for (const auto& result : segmenter.Encode({&image, &image, &image})) {
    EXPECT_TRUE(IsDeviceFault(result.status()));
    EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(result.status().message()), Not(HasSubstr("CUDA")));
  }
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(std::string(segmenter.fault().message()), HasSubstr("CUDA")) << "for the log";
  EXPECT_EQ(Retries("fault"), "0");
}

TEST_F(ResilientSegmenterTest, ABatchThatFitsIsOneCall) {
  Start(/*room=*/2);
  for (const auto& result : segmenter_->Decode({Clicks({0.2f}), Clicks({0.4f})})) {
    EXPECT_TRUE(result.ok()) << result.status();
  }
  EXPECT_THAT(device_->calls(), ElementsAre(2));
  EXPECT_EQ(Retries("memory"), "0");
}

TEST_F(ResilientSegmenterTest, ABatchWithoutMemoryRunsOnceMoreInHalves) {
  Start(/*room=*/2);
  const std::vector<DecodeRequest> requests = {Clicks({0.2f}), Clicks({0.4f}), Clicks({0.6f})};
  const auto results = segmenter_->Decode(requests);
  ASSERT_THAT(results, SizeIs(3));
  const auto expected = device_->fake().Decode(requests);
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i].ok()) << results[i].status();
    ExpectSame(*results[i], *expected[i]);
  }
  EXPECT_THAT(device_->calls(), ElementsAre(3, 2, 1));
  EXPECT_EQ(Retries("memory"), "1");
}

TEST_F(ResilientSegmenterTest, OnlyTheHalfThatStillFindsNoMemoryIsRefused) {
  Start(/*room=*/2);
  const auto results =
      segmenter_->Decode({Clicks({0.2f}), Clicks({0.3f, 0.4f, 0.5f}), Clicks({0.6f})});
  ExpectMemoryFull(results[0].status());
  ExpectMemoryFull(results[1].status());
  EXPECT_TRUE(results[2].ok()) << results[2].status();
  EXPECT_THAT(device_->calls(), ElementsAre(5, 4, 1));
}

TEST_F(ResilientSegmenterTest, ARequestAloneIsHalvedByItsPrompts) {
  Start(/*room=*/2);
  const DecodeRequest request = Clicks({0.2f, 0.4f, 0.6f});
  const auto results = segmenter_->Decode({request});
  ASSERT_TRUE(results[0].ok()) << results[0].status();
  const auto expected = device_->fake().Decode({request});
  ExpectSame(*results[0], *expected[0]);
  EXPECT_THAT(device_->calls(), ElementsAre(3, 1, 2));
}

TEST_F(ResilientSegmenterTest, PromptsThatSeeEachOtherAreNotHalved) {
  Start(/*room=*/1);
  DecodeRequest request = Clicks({0.2f, 0.4f});
  request.joint_attention = true;
  ExpectMemoryFull(segmenter_->Decode({request})[0].status());
  EXPECT_THAT(device_->calls(), ElementsAre(2));
}

TEST_F(ResilientSegmenterTest, OneBadRequestTakesNoOtherWithIt) {
  Start(/*room=*/10);
  const auto results =
      segmenter_->Decode({Clicks({0.2f}), Clicks({SmallDevice::kPoison}), Clicks({0.4f})});
  EXPECT_TRUE(results[0].ok()) << results[0].status();
  EXPECT_TRUE(absl::IsInternal(results[1].status())) << results[1].status();
  EXPECT_TRUE(results[2].ok()) << results[2].status();
  EXPECT_THAT(device_->calls(), ElementsAre(3, 1, 1, 1));
  EXPECT_EQ(Retries("fault"), "1");
}

TEST_F(ResilientSegmenterTest, ImagesAreHalvedToo) {
  Start(/*room=*/2);
  const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
  const std::vector<const Rgb8Image*> images(4, &image);
  for (const auto& result : segmenter_->Encode(images)) EXPECT_TRUE(result.ok());
  EXPECT_THAT(device_->calls(), ElementsAre(4, 2, 2));
}

TEST_F(ResilientSegmenterTest, AnImageAloneWithoutMemoryIsRefused) {
  Start(/*room=*/0);
  const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
  ExpectMemoryFull(segmenter_->Encode({&image})[0].status());
  EXPECT_THAT(device_->calls(), ElementsAre(1));
  EXPECT_EQ(Retries("memory"), "0");
}

TEST_F(ResilientSegmenterTest, WordsAreHalvedToo) {
  Start(/*room=*/2);
  const std::vector<std::string> words = {"cat", "dog", "house"};
  const auto rows = segmenter_->EncodeText(words, TextMode::kPlain);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, *device_->fake().EncodeText(words, TextMode::kPlain));
  EXPECT_THAT(device_->calls(), ElementsAre(3, 1, 2));
}

TEST_F(ResilientSegmenterTest, WhatCannotBeHalvedIsRefusedInOurWords) {
  Start(/*room=*/2);
  ExpectMemoryFull(segmenter_->ProjectValues(embedding_).status());
  ExpectMemoryFull(segmenter_->Load({}).status());
  ExpectMemoryFull(segmenter_->SegmentVocabulary({VocabularyRequest{}})[0].status());
  ExpectMemoryFull(
      segmenter_->EncodeText(std::vector<std::string>(6, "cat"), TextMode::kPlain).status());
}

}  // namespace
}  // namespace semsam
