// Masks as pictures of characters, fixtures, and folders to write to.
#ifndef SEMSAM_TESTS_MODEL_DATA_DATA_TEST_UTIL_H_
#define SEMSAM_TESTS_MODEL_DATA_DATA_TEST_UTIL_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/base/types.h"
#include "model/data/dataset.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam::testing {

inline std::string Fixture(const std::string& path) {
  return std::string(SEMSAM_SOURCE_DIR "/tests/model/data/fixtures/") + path;
}

// '#' is inside.
inline RunLengths MaskFrom(const std::vector<std::string>& rows) {
  BinaryMask mask;
  mask.size = {static_cast<int>(rows.size()), static_cast<int>(rows[0].size())};
  for (const std::string& row : rows) {
    for (const char c : row) mask.pixels.push_back(c == '#');
  }
  return EncodeRunLengths(mask);
}

inline std::vector<std::string> Rows(const RunLengths& runs) {
  const BinaryMask mask = DecodeRunLengths(runs);
  std::vector<std::string> rows(mask.size.height);
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    rows[i / mask.size.width].push_back(mask.pixels[i] ? '#' : '.');
  }
  return rows;
}

inline RunLengths Rectangle(ImageSize size, int x, int y, int width, int height) {
  return BoxMask({.x = x, .y = y, .width = width, .height = height}, size);
}

inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// Everything of `text` that reads `from`, as `to`. Fails the test where there is none.
inline std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_NE(text.find(from), std::string::npos) << from;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// A folder of its own for each object, removed with it.
class ScratchFolder {
 public:
  ScratchFolder() {
    static int counter = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("semsam-data-" + std::to_string(::getpid()) + "-" + std::to_string(++counter));
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

  // A copy of a fixture, to be broken.
  void CopyFixture(const std::string& name) const {
    std::filesystem::copy(Fixture(name), path_,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }

 private:
  std::filesystem::path path_;
};

// The set, or a failed test and nullptr.
inline std::unique_ptr<Dataset> Opened(const DatasetSpec& spec) {
  absl::StatusOr<std::unique_ptr<Dataset>> dataset = OpenDataset(spec);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return dataset.ok() ? *std::move(dataset) : nullptr;
}

inline Sample Loaded(const Dataset& dataset, size_t index) {
  absl::StatusOr<Sample> sample = dataset.Load(index);
  EXPECT_TRUE(sample.ok()) << sample.status();
  return sample.ok() ? *std::move(sample) : Sample();
}

// The spec of a fixture, or of a copy of it in another folder.
inline DatasetSpec FixtureSpec(DatasetFormat format, const std::string& folder) {
  switch (format) {
    case DatasetFormat::kSa1b:
    case DatasetFormat::kFolder:
      return {.format = format, .images = folder};
    case DatasetFormat::kCoco:
      return {.format = format,
              .images = folder + "/images",
              .annotations = folder + "/annotations.json",
              .partial = {{.field = "labels", .value = "person-only", .objects = {"person"}}}};
    case DatasetFormat::kCocoPanoptic:
      return {.format = format,
              .images = folder + "/images",
              .annotations = folder + "/panoptic.json",
              .labels = folder + "/panoptic"};
    case DatasetFormat::kPaco:
      return {.format = format,
              .images = folder + "/images",
              .annotations = folder + "/paco_lvis_v1_val.json"};
    case DatasetFormat::kPartImageNet:
      return {.format = format, .images = folder + "/images", .annotations = folder + "/val.json"};
    case DatasetFormat::kPascalPart:
      return {.format = format,
              .images = folder + "/JPEGImages",
              .labels = folder + "/Annotations_Part"};
    case DatasetFormat::kLabelMaps: {
      DatasetSpec spec = {
          .format = format, .images = folder + "/images", .labels = folder + "/labels"};
      spec.label_rules = {
          .rules = {{.value = 1, .object_name = "car", .part_name = "body"},
                    {.value = 2, .object_name = "car", .part_name = "wheel", .split = true}},
          .unknown = {255},
          .background = {0},
          .whole = "car"};
      return spec;
    }
  }
  return {};
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_DATA_DATA_TEST_UTIL_H_
