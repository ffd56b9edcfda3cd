#ifndef SEMSAM_SERVER_PIPELINE_IMAGE_FIELD_H_
#define SEMSAM_SERVER_PIPELINE_IMAGE_FIELD_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "model/base/errors.h"

namespace semsam {

// model/image names its input `image`; a client knows it by the field of its own
// request. Other errors stay as they are.
inline absl::Status NameImageField(absl::Status status, std::string_view request_field) {
  constexpr std::string_view kPrefix = "image: ";
  if (ErrorField(status) != "image") return status;
  std::string message(status.message());
  if (message.compare(0, kPrefix.size(), kPrefix) == 0) message.erase(0, kPrefix.size());
  return InvalidField(request_field, message,
                      ErrorReason(status).value_or(std::string(reason::kInvalidArgument)));
}

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_IMAGE_FIELD_H_
