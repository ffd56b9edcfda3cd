#include "model/net/device_segmenters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/base/errors.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;

TEST(DeviceSegmenters, EachDeviceIsNamedOnce) {
  EXPECT_THAT(*DevicesOf({}), ElementsAre("cpu"));
  EXPECT_THAT(*DevicesOf({.cpu_workers = 3}), ElementsAre("cpu", "cpu", "cpu"));
  EXPECT_THAT(*DevicesOf({.devices = "cuda"}), ElementsAre("cuda"));
  EXPECT_THAT(*DevicesOf({.devices = "cuda:1,cuda:0"}), ElementsAre("cuda:1", "cuda:0"));
}

TEST(DeviceSegmenters, BadListsAreNamed) {
  const auto field = [](const DeviceSegmentersOptions& options) {
    return ErrorField(DevicesOf(options).status());
  };
  EXPECT_EQ(field({.devices = ""}), "device");
  EXPECT_EQ(field({.devices = "cuda:0,"}), "device");
  EXPECT_EQ(field({.devices = "cuda:1,cuda:1"}), "device");
  EXPECT_EQ(field({.devices = "cuda,cuda:0"}), "device");
  EXPECT_EQ(field({.devices = "cpu,cpu"}), "device");
  EXPECT_EQ(field({.devices = "cpu,cuda:0"}), "device");
  EXPECT_EQ(field({.cpu_workers = 0}), "cpu_workers");
  EXPECT_EQ(field({.devices = "cuda:0", .cpu_workers = 2}), "cpu_workers");
}

TEST(DeviceSegmenters, EachKeepsToItsOwnEmbeddings) {
  auto models =
      CreateDeviceSegmenters({.weights = "formula:swin-tiny", .cpu_workers = 2, .threads = 1});
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->size(), 2);
  Segmenter& one = *models->front();
  Segmenter& other = *models->back();
  EXPECT_EQ(one.info().digest, other.info().digest);
  const Rgb8Image image{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3, 7)};
  auto embedding = one.Encode({&image}).front();
  ASSERT_TRUE(embedding.ok()) << embedding.status();
  DecodeRequest request{
      .embedding = *embedding, .prompts = {{.cx = 0.5F, .cy = 0.5F}}, .levels = {1}};
  EXPECT_TRUE(one.Decode({request}).front().ok());
  EXPECT_EQ(ErrorField(other.Decode({request}).front().status()), "embedding");
  // What one has stored the other can load, and answers alike.
  auto stored = one.Store(**embedding, StorageFormat::kFp32);
  ASSERT_TRUE(stored.ok()) << stored.status();
  auto loaded = other.Load(*stored);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto mine = one.Decode({request}).front();
  request.embedding = *loaded;
  const auto its = other.Decode({request}).front();
  ASSERT_TRUE(its.ok()) << its.status();
  EXPECT_EQ(mine->logits, its->logits);
}

}  // namespace
}  // namespace semsam
