// Names with '*' for any text, also none.
#ifndef SEMSAM_MODEL_TRAINING_GLOB_H_
#define SEMSAM_MODEL_TRAINING_GLOB_H_

#include <string_view>

namespace semsam {

// Thread-safe. Takes time in proportion to the product of both lengths at most.
inline bool GlobMatches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_GLOB_H_
