// Reads text line by line.
#ifndef SEMSAM_MODEL_TEXT_TAKE_LINE_H_
#define SEMSAM_MODEL_TEXT_TAKE_LINE_H_

#include <algorithm>
#include <string_view>

namespace semsam {

// Takes the first line of `rest` with its end away and returns it without. The last
// line needs no end.
inline std::string_view TakeLine(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_TAKE_LINE_H_
