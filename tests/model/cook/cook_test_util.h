// Sources and sprites that tests make up.
#ifndef SEMSAM_TESTS_MODEL_COOK_COOK_TEST_UTIL_H_
#define SEMSAM_TESTS_MODEL_COOK_COOK_TEST_UTIL_H_

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "model/cook/sprite_source.h"
#include "model/image/run_length_sets.h"

namespace semsam {

// An empty folder of the running test.
inline std::string TestFolder() {
  const testing::TestInfo* const info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder =
      testing::TempDir() + "/" + info->test_suite_name() + "." + info->name();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline BinaryMask MaskOfBox(ImageSize size, PixelBox box) {
  return DecodeRunLengths(BoxMask(box, size));
}

// An opaque rectangle of one colour, with a part in its left half.
inline Sprite BoxSprite(ImageSize size, uint8_t grey, const std::string& name) {
  Sprite sprite;
  sprite.image.size = size;
  for (int64_t i = 0; i < size.area(); ++i) {
    sprite.image.pixels.insert(sprite.image.pixels.end(), {grey, grey, grey, 255});
  }
  sprite.masks.push_back({.mask = FullMask(size), .object_name = name});
  const PixelBox half{.width = size.width / 2, .height = size.height};
  sprite.masks.push_back({.mask = BoxMask(half, size), .parent = 0});
  return sprite;
}

// Squares by name; "broken.." cannot be read, "empty.." has no ink.
class FakeSource final : public SpriteSource {
 public:
  FakeSource(std::string name, const std::vector<std::string>& objects,
             std::vector<std::pair<std::string, std::string>> aliases = {})
      : info_{.name = name, .licence = name + " licence", .source = name + " source"},
        aliases_(std::move(aliases)) {
    for (size_t i = 0; i < objects.size(); ++i) {
      entries_.push_back(
          {.title = name + "/" + std::to_string(i) + objects[i], .object_name = objects[i]});
    }
  }

  const SourceInfo& info() const override { return info_; }
  const std::vector<Entry>& entries() const override { return entries_; }
  const std::vector<std::pair<std::string, std::string>>& aliases() const override {
    return aliases_;
  }
  absl::StatusOr<Sprite> Load(size_t index, int side_px) const override {
    const std::string& name = entries_[index].object_name;
    if (name.starts_with("broken")) return absl::InvalidArgumentError("byte 3: torn");
    if (name.starts_with("empty")) return absl::OutOfRangeError("it has no ink");
    return BoxSprite({side_px, side_px}, static_cast<uint8_t>(index * 40), name);
  }

 private:
  const SourceInfo info_;
  std::vector<Entry> entries_;
  const std::vector<std::pair<std::string, std::string>> aliases_;
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_MODEL_COOK_COOK_TEST_UTIL_H_
