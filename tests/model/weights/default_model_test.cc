// The model that programs carry; tests of a file that differs from training to training,
// so of what must hold for any of them.
#include "model/weights/default_model.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>

#include "model/weights/model_file.h"

namespace semsam {
namespace {

constexpr size_t kMaxBytes = 40'000'000;

TEST(DefaultModel, IsTheAlignedFileOfTheRepository) {
  const auto bytes = DefaultModelBytes();
  EXPECT_EQ(bytes.size(), std::filesystem::file_size(
                              SEMSAM_SOURCE_DIR "/model/weights/default/semsam-lite.safetensors"));
  EXPECT_LE(bytes.size(), kMaxBytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % 64, 0);
}

TEST(DefaultModel, OpensInPlaceAndIsTrained) {
  const auto file = ModelFile::Open("default");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->format(), "embedded safetensors");
  EXPECT_TRUE((*file)->trained());
  EXPECT_EQ((*file)->config().name, "semsam-lite");
  EXPECT_EQ((*file)->metadata().at(kLicenseKey), "CC-BY-SA-4.0");
  const auto bytes = DefaultModelBytes();
  for (const auto& [name, tensor] : (*file)->weights()) {
    EXPECT_GE(tensor.data.data(), bytes.data()) << name;
    EXPECT_LE(tensor.data.data() + tensor.data.size(), bytes.data() + bytes.size()) << name;
  }
}

TEST(DefaultModel, HasTheDigestThatItSays) {
  const auto file = ModelFile::Open("default");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->digest(), (*file)->metadata().at(kDigestKey));
  EXPECT_EQ((*file)->digest(), *(*file)->ComputeDigest());
}

TEST(DefaultModel, TakesClicksBoxesAndWords) {
  const auto file = ModelFile::Open("default");
  ASSERT_TRUE(file.ok()) << file.status();
  const Capabilities& can = (*file)->config().capabilities;
  EXPECT_TRUE(can.click_prompts);
  EXPECT_TRUE(can.box_prompts);
  EXPECT_TRUE(can.object_labels);
  EXPECT_TRUE(can.part_labels);
  EXPECT_TRUE((*file)->config().text.has_value());
}

// More than that is too much for a server's default, and less names nothing.
TEST(DefaultModel, ListsWordsOfItsOwn) {
  const auto file = ModelFile::Open("default");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_GE((*file)->vocabulary().objects.size(), 50);
  EXPECT_GE((*file)->vocabulary().parts.size(), 10);
}

}  // namespace
}  // namespace semsam
