#include "model/data/picture_path.h"

#include "absl/strings/str_cat.h"
#include "model/data/files.h"

namespace semsam {

absl::StatusOr<std::string> PicturePath(std::string_view folder, std::string_view name) {
  if (!StaysInside(name)) {
    return absl::InvalidArgumentError(absl::StrCat("the name \"",
                                                   absl::string_view(name.data(), name.size()),
                                                   "\" leads out of the folder of the pictures"));
  }
  std::string whole = JoinPath(folder, name);
  if (IsFile(whole)) return whole;
  const size_t slash = name.rfind('/');
  if (slash != std::string_view::npos && slash > 0) {
    const size_t before = name.rfind('/', slash - 1);
    if (before != std::string_view::npos) {
      std::string shorter = JoinPath(folder, name.substr(before + 1));
      if (IsFile(shorter)) return shorter;
    }
    std::string last = JoinPath(folder, name.substr(slash + 1));
    if (IsFile(last)) return last;
  }
  return whole;
}

std::string PictureOfStem(std::string_view folder, std::string_view stem) {
  const std::string start = JoinPath(folder, stem);
  for (const char* ending : {".jpg", ".jpeg", ".png", ".webp", ".JPEG", ".JPG", ".PNG"}) {
    std::string path = start + ending;
    if (IsFile(path)) return path;
  }
  return start + ".jpg";
}

}  // namespace semsam
