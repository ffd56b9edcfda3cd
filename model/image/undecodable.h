// The two errors of the decoders, so that all of them read alike.
#ifndef SEMSAM_MODEL_IMAGE_UNDECODABLE_H_
#define SEMSAM_MODEL_IMAGE_UNDECODABLE_H_

#include <string_view>

#include "absl/status/status.h"
#include "model/base/errors.h"

namespace semsam {

inline absl::Status Undecodable(std::string_view message) {
  return InvalidField("image", message, reason::kImageUndecodable);
}
inline absl::Status ImageTooLarge(std::string_view message) {
  return InvalidField("image", message, reason::kImageTooLarge);
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_UNDECODABLE_H_
