#include "model/text/prefix_tree.h"

namespace semsam {

void PrefixTree::Add(std::span<const int32_t> ids) {
  int32_t node = -1;
  int32_t position = 0;
  for (const int32_t id : ids) {
    const uint64_t key = static_cast<uint64_t>(node + 1) << 32 | static_cast<uint32_t>(id);
    const auto [child, added] = children_.emplace(key, static_cast<int32_t>(tokens_.size()));
    if (added) {
      tokens_.push_back(id);
      positions_.push_back(position);
      parents_.push_back(node);
    }
    node = child->second;
    ++position;
  }
  ends_.push_back(node);
}

}  // namespace semsam
