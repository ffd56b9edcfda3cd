#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/cook/icon_names.h"
#include "model/cook/shape_nesting.h"
#include "model/cook/sprite_list.h"
#include "model/cook/svg_picture.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/text/gzip.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;
constexpr int64_t kMaxTextBytes = int64_t{512} << 20;
constexpr size_t kMaxIcons = 100'000;
constexpr int64_t kMaxBoxUnits = 100'000;

class IconSource final : public SpriteList {
 public:
  explicit IconSource(SourceInfo info) : SpriteList(std::move(info)) {}

  absl::Status Read(const Json& json) {
    const Json* icons = FindField(json, "icons");
    if (icons == nullptr || !icons->is_object()) {
      return absl::InvalidArgumentError("\"icons\": must be an object");
    }
    if (icons->size() > kMaxIcons) {
      return absl::InvalidArgumentError(absl::StrCat("\"icons\": more than ", kMaxIcons));
    }
    for (const auto& [name, icon] : icons->items()) {
      const absl::Status status = AddIcon(json, name, icon);
      if (!status.ok()) return Annotate(status, absl::StrCat("icon ", name));
    }
    const Json* aliases = FindField(json, "aliases");
    if (aliases == nullptr || !aliases->is_object()) return absl::OkStatus();
    for (const auto& [name, alias] : aliases->items()) {
      SEMSAM_ASSIGN_OR_RETURN(const std::string parent, TextField(alias, "parent", ""));
      std::optional<std::string> other = IconWords(name), words = IconWords(parent);
      if (other && words && *other != *words) AddAlias(*std::move(other), *std::move(words));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Sprite> Load(size_t index, int side_px) const override {
    SEMSAM_ASSIGN_OR_RETURN(SvgDrawing drawing, DrawSvg(svgs_[index], side_px));
    SEMSAM_ASSIGN_OR_RETURN(std::vector<SpriteMask> masks, NestShapes(drawing));
    masks[0].object_name = entries()[index].object_name;
    return Sprite{.image = std::move(drawing.image), .masks = std::move(masks)};
  }

 private:
  absl::Status AddIcon(const Json& collection, const std::string& name, const Json& icon) {
    if (!icon.is_object()) return absl::InvalidArgumentError("must be an object");
    SEMSAM_ASSIGN_OR_RETURN(const bool hidden, FlagField(icon, "hidden", false));
    SEMSAM_ASSIGN_OR_RETURN(const std::string body, TextField(icon, "body", ""));
    std::optional<std::string> words = IconWords(name);
    if (hidden || body.empty() || !words) return absl::OkStatus();
    int64_t box[4];
    const char* const keys[4] = {"left", "top", "width", "height"};
    for (int i = 0; i < 4; ++i) {
      SEMSAM_ASSIGN_OR_RETURN(const int64_t usual,
                              IntegerField(collection, keys[i], i < 2 ? 0 : 16));
      SEMSAM_ASSIGN_OR_RETURN(box[i], IntegerField(icon, keys[i], usual));
      if (box[i] < (i < 2 ? -kMaxBoxUnits : 1) || box[i] > kMaxBoxUnits) {
        return absl::InvalidArgumentError(absl::StrCat("\"", keys[i], "\": is no size of a box"));
      }
    }
    svgs_.push_back(absl::StrCat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
        "viewBox=\"",
        box[0], " ", box[1], " ", box[2], " ", box[3], "\" width=\"", box[2], "\" height=\"",
        box[3], "\">", body, "</svg>"));
    Add(name, *std::move(words));
    return absl::OkStatus();
  }

  std::vector<std::string> svgs_;  // one an entry
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpriteSource>> OpenIcons(const std::string& path, SourceInfo info) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string packed, ReadWholeFile(path, kMaxFileBytes));
  absl::StatusOr<std::string> text = Gunzip(packed, kMaxTextBytes);
  if (!text.ok()) return Annotate(text.status(), path);
  absl::StatusOr<Json> json = ParseJson(*text);
  if (!json.ok()) return Annotate(json.status(), path);
  auto source = std::make_unique<IconSource>(std::move(info));
  // JSON objects are sorted by key.
  if (absl::Status status = source->Read(*json); !status.ok()) return Annotate(status, path);
  return source;
}

}  // namespace semsam
