#include "tests/fakes/fake_segmenter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace semsam {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<const Embedding> EncodeOne(FakeSegmenter& fake) {
  const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
  return fake.Encode({&image}).front().value_or(nullptr);
}

TEST(FakeSegmenter, TakesOnlyEmbeddingsThatItMade) {
  FakeSegmenter mine({.config = WithWords(SwinT())});
  FakeSegmenter other({.config = WithWords(SwinT())});
  for (FakeSegmenter* maker : {&mine, &other}) {
    const auto embedding = EncodeOne(*maker);
    ASSERT_NE(embedding, nullptr);
    const bool own = maker == &mine;
    const DecodeRequest click{
        .embedding = embedding, .prompts = std::vector<Prompt>(1), .levels = {1}};
    EXPECT_EQ(mine.Decode({click}).front().ok(), own);
    const VocabularyRequest words{.embedding = embedding};
    EXPECT_EQ(mine.SegmentVocabulary({words}).front().ok(), own);
    EXPECT_EQ(mine.ProjectValues(embedding).ok(), own);
  }
}

TEST(FakeSegmenter, RemembersItsBatches) {
  int most_prompts = 0;
  FakeSegmenter fake({.on_prompts = [&most_prompts](int prompts) { most_prompts = prompts; }});
  const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
  EXPECT_EQ(fake.Encode({&image, &image}).size(), 2);
  const auto embedding = EncodeOne(fake);
  EXPECT_THAT(fake.encode_batches(), ElementsAre(2, 1));
  const DecodeRequest one{.embedding = embedding, .prompts = std::vector<Prompt>(1), .levels = {1}};
  const DecodeRequest two{.embedding = embedding, .prompts = std::vector<Prompt>(2), .levels = {1}};
  EXPECT_EQ(fake.Decode({one, two}).size(), 2);
  EXPECT_THAT(fake.decode_batches(), ElementsAre(2));
  EXPECT_EQ(most_prompts, 2);
}

TEST(FakeSegmenter, LoadsWhatOneLikeItStored) {
  FakeSegmenter maker;
  FakeSegmenter other;
  const auto embedding = EncodeOne(maker);
  ASSERT_NE(embedding, nullptr);
  EXPECT_FALSE(other.Store(*embedding, StorageFormat::kFp16).ok()) << "not its own";
  absl::StatusOr<StoredEmbedding> stored = maker.Store(*embedding, StorageFormat::kFp16);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->format, StorageFormat::kFp16);
  EXPECT_EQ(stored->model_digest, maker.info().digest);
  const auto loaded = other.Load(*stored);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->size_bytes(), other.EmbeddingBytes(embedding->network_size()));
  EXPECT_EQ((*loaded)->network_size(), embedding->network_size());
  EXPECT_TRUE(other.ProjectValues(*loaded).ok()) << "now its own";
  stored->bytes += "x";
  EXPECT_TRUE(absl::IsInvalidArgument(other.Load(*stored).status()));
  EXPECT_EQ(maker.stores(), 1);
  EXPECT_EQ(other.loads(), 1);
}

}  // namespace
}  // namespace semsam
