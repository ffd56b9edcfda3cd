#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/cook/icon_names.h"
#include "model/cook/sprite_list.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxListBytes = int64_t{16} << 20;
constexpr int64_t kMaxPictureBytes = int64_t{4} << 20;
constexpr int64_t kMaxPicturePixels = 2048 * 2048;
constexpr int64_t kMinAreaPx = 64;

class CutoutSource final : public SpriteList {
 public:
  CutoutSource(std::string folder, SourceInfo info)
      : SpriteList(std::move(info)), folder_(std::move(folder)) {}

  absl::Status Read(const Json& list) {
    if (!list.is_array()) return absl::InvalidArgumentError("must be an array");
    std::vector<std::pair<std::string, std::string>> found;
    for (size_t i = 0; i < list.size(); ++i) {
      absl::StatusOr<std::string> file = TextField(list[i], "file");
      if (!file.ok()) return Annotate(file.status(), absl::StrCat("[", i, "]"));
      SEMSAM_ASSIGN_OR_RETURN(const std::string group, TextField(list[i], "group", ""));
      if (!StaysInside(*file)) {
        return absl::InvalidArgumentError(
            absl::StrCat("[", i, "]: \"file\": leads out of the folder"));
      }
      std::optional<std::string> words = IconWords(WithoutEnding(*file));
      if (!words || group == "Flags" || group == "Symbols") continue;
      found.emplace_back(*std::move(file), *std::move(words));
    }
    std::sort(found.begin(), found.end());
    for (auto& [file, words] : found) {
      Add(file, std::move(words));
      files_.push_back(std::move(file));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Sprite> Load(size_t index, int side_px) const override {
    const std::string path = JoinPath(JoinPath(folder_, "images"), files_[index]);
    SEMSAM_ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(path, kMaxPictureBytes));
    SEMSAM_ASSIGN_OR_RETURN(Rgba8Image image, DecodeRgba(bytes, {.max_pixels = kMaxPicturePixels}));
    image = ResizeRgba(Cropped(image), side_px);
    RunLengths mask = Coverage(image);
    if (MaskArea(mask) < kMinAreaPx) return absl::OutOfRangeError("next to nothing can be seen");
    std::vector<SpriteMask> masks;
    masks.push_back({.mask = std::move(mask), .object_name = entries()[index].object_name});
    return Sprite{.image = std::move(image), .masks = std::move(masks)};
  }

 private:
  // To what can be seen.
  static Rgba8Image Cropped(const Rgba8Image& image) {
    const PixelBox box = BoundingBox(Coverage(image));
    if (box.width == 0) return image;
    Rgba8Image cropped{.size = {.height = box.height, .width = box.width}};
    for (int y = box.y; y < box.y + box.height; ++y) {
      const auto row =
          image.pixels.begin() + 4 * (static_cast<ptrdiff_t>(y) * image.size.width + box.x);
      cropped.pixels.insert(cropped.pixels.end(), row, row + 4 * static_cast<ptrdiff_t>(box.width));
    }
    return cropped;
  }

  const std::string folder_;
  std::vector<std::string> files_;  // one an entry
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpriteSource>> OpenCutouts(const std::string& folder,
                                                          SourceInfo info) {
  const std::string path = JoinPath(folder, "names.json");
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxListBytes));
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return Annotate(json.status(), path);
  auto source = std::make_unique<CutoutSource>(folder, std::move(info));
  if (absl::Status status = source->Read(*json); !status.ok()) return Annotate(status, path);
  return source;
}

}  // namespace semsam
