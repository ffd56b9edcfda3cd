#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/cook/icon_names.h"
#include "model/cook/shape_nesting.h"
#include "model/cook/sprite_list.h"
#include "model/cook/svg_picture.h"
#include "model/data/files.h"

namespace semsam {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{512} << 10;
constexpr size_t kMaxFiles = 200'000;

class ClipartSource final : public SpriteList {
 public:
  ClipartSource(std::string folder, SourceInfo info)
      : SpriteList(std::move(info)), folder_(std::move(folder)) {}

  absl::Status List(const std::set<std::string>& nouns, const std::vector<std::string>& without) {
    std::error_code error;
    std::filesystem::recursive_directory_iterator entries(folder_, error);
    if (error) return FileError(folder_, error.value());
    for (; entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
      std::error_code unreadable;
      const std::filesystem::path& path = entries->path();
      if (path.extension() != ".svg" || !entries->is_regular_file(unreadable)) continue;
      if (entries->file_size(unreadable) > static_cast<uintmax_t>(kMaxFileBytes)) continue;
      std::string name = path.lexically_relative(folder_).string();
      const bool wanted = std::none_of(without.begin(), without.end(), [&](const std::string& w) {
        return absl::StartsWith(name, w);
      });
      if (!wanted) continue;
      names_.push_back(std::move(name));
      if (names_.size() > kMaxFiles) {
        return absl::InvalidArgumentError(
            absl::StrCat(folder_, ": more than ", kMaxFiles, " files"));
      }
    }
    if (error) return FileError(folder_, error.value());
    std::sort(names_.begin(), names_.end());
    for (const std::string& name : names_) {
      Add(name, ClipartWords(WithoutEnding(BaseName(name)), nouns).value_or(""));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Sprite> Load(size_t index, int side_px) const override {
    SEMSAM_ASSIGN_OR_RETURN(const std::string text,
                            ReadWholeFile(JoinPath(folder_, names_[index]), kMaxFileBytes));
    SEMSAM_ASSIGN_OR_RETURN(SvgDrawing drawing, DrawSvg(text, side_px));
    SEMSAM_ASSIGN_OR_RETURN(std::vector<SpriteMask> masks, NestShapes(drawing));
    masks[0].object_name = entries()[index].object_name;
    return Sprite{.image = std::move(drawing.image), .masks = std::move(masks)};
  }

 private:
  const std::string folder_;
  std::vector<std::string> names_;  // one an entry; relative to the folder
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpriteSource>> OpenClipart(const std::string& folder,
                                                          const std::set<std::string>& nouns,
                                                          const std::vector<std::string>& without,
                                                          SourceInfo info) {
  auto source = std::make_unique<ClipartSource>(folder, std::move(info));
  SEMSAM_RETURN_IF_ERROR(source->List(nouns, without));
  return source;
}

}  // namespace semsam
