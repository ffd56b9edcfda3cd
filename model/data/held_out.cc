#include "model/data/held_out.h"

namespace semsam {

Split SplitHeldOut(size_t size, size_t every) {
  Split split;
  for (size_t i = 0; i < size; ++i) {
    const bool held_out = every > 0 && IsHeldOut(i, every);
    (held_out ? split.held_out : split.train).push_back(i);
  }
  return split;
}

std::vector<size_t> SpreadOver(const std::vector<size_t>& indices, size_t count) {
  if (count >= indices.size()) return indices;
  std::vector<size_t> some;
  for (size_t i = 0; i < count; ++i) some.push_back(indices[i * indices.size() / count]);
  return some;
}

}  // namespace semsam
