#ifndef SEMSAM_TESTS_FAKES_METRIC_VALUE_H_
#define SEMSAM_TESTS_FAKES_METRIC_VALUE_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "server/metrics/metrics.h"

namespace semsam {

// What a series stands at, by its full name, e.g. `semsam_queue_depth{queue="encode"}`;
// "absent" if there is none.
inline std::string MetricValue(const Metrics& metrics, const std::string& series) {
  const std::string text = absl::StrCat("\n", metrics.Text());
  const std::string key = absl::StrCat("\n", series, " ");
  const size_t found = text.find(key);
  if (found == std::string::npos) return "absent";
  const size_t begin = found + key.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_METRIC_VALUE_H_
