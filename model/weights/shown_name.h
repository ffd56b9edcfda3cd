// Names that come out of files, made fit for an error text.
#ifndef SEMSAM_MODEL_WEIGHTS_SHOWN_NAME_H_
#define SEMSAM_MODEL_WEIGHTS_SHOWN_NAME_H_

#include <string>
#include <string_view>

#include "absl/strings/escaping.h"

namespace semsam {

// At most about 120 characters, with control characters and broken UTF-8
// escaped: a file must not choose what a terminal or a log does.
inline std::string ShownName(std::string_view name) {
  constexpr size_t kMaxShown = 120;
  const std::string_view head = name.substr(0, kMaxShown);
  return absl::CHexEscape(absl::string_view(head.data(), head.size())) +
         (head.size() < name.size() ? "..." : "");
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_SHOWN_NAME_H_
