// Where the picture lies that an annotation file names.
#ifndef SEMSAM_MODEL_DATA_PICTURE_PATH_H_
#define SEMSAM_MODEL_DATA_PICTURE_PATH_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace semsam {

// `name` in `folder`; where there is no such file, its last two components
// ("images/v1/patch8/x.jpg" of Objects365 lies in patch8), then its last. The path
// of the first form where there is none of them. Errors: INVALID_ARGUMENT for a
// name that leads out of the folder. Thread-safe.
absl::StatusOr<std::string> PicturePath(std::string_view folder, std::string_view name);

// The file in `folder` called `stem` with an ending of a picture (.jpg, .jpeg, .png,
// .webp, .JPEG, ...); `stem`.jpg where there is none.
std::string PictureOfStem(std::string_view folder, std::string_view stem);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_PICTURE_PATH_H_
