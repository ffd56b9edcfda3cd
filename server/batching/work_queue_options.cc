#include "server/batching/work_queue_options.h"

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {

absl::Status WorkQueueOptions::Validate() const {
  if (classes.empty()) return InvalidField("classes", "must not be empty");
  for (size_t i = 0; i < classes.size(); ++i) {
    const WorkClassOptions& work_class = classes[i];
    const std::string path = absl::StrCat("classes[", i, "].");
    if (work_class.max_entries <= 0) return InvalidField(path + "max_entries", "must be positive");
    if (work_class.max_units <= 0) return InvalidField(path + "max_units", "must be positive");
    if (work_class.max_batch_units <= 0) {
      return InvalidField(path + "max_batch_units", "must be positive");
    }
    if (work_class.max_wait < absl::ZeroDuration()) {
      return InvalidField(path + "max_wait", "must not be negative");
    }
  }
  // Written so that a NaN is refused.
  if (!(max_flow_share > 0 && max_flow_share <= 1)) {
    return InvalidField("max_flow_share", "must be above 0 and at most 1");
  }
  if (retry_after < absl::ZeroDuration()) {
    return InvalidField("retry_after", "must not be negative");
  }
  return absl::OkStatus();
}

}  // namespace semsam
