#include "client/load/load_results.h"

#include "absl/strings/str_cat.h"
#include "client/errors.h"

namespace semsam::load {

void KindResults::CountOutcome(const absl::Status& status) {
  std::string name = OutcomeName(status);
  if (outcomes.size() >= kMaxOutcomes && outcomes.count(name) == 0) name = "other";
  ++outcomes[name];
}

std::string OutcomeName(const absl::Status& status) {
  const auto reason = client::ErrorReason(status);
  return absl::StrCat(absl::StatusCodeToString(status.code()), reason.has_value() ? " " : "",
                      reason.value_or(""));
}

}  // namespace semsam::load
