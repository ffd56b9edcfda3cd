// Token sequences with what they share at their beginnings kept once.
//
// Attention in the text encoder is causal: a token's state follows from the
// tokens up to it alone. So "a photo of a dog." and "a photo of a cat." need the
// states of "a photo of a" once, and padding needs none.
#ifndef SEMSAM_MODEL_TEXT_PREFIX_TREE_H_
#define SEMSAM_MODEL_TEXT_PREFIX_TREE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace semsam {

// Nodes in the order of their making, so a parent stands before its children. Not
// thread-safe while it grows.
class PrefixTree {
 public:
  // `ids` may not be empty. Sequences that are alike share all their nodes.
  void Add(std::span<const int32_t> ids);

  size_t size() const { return tokens_.size(); }
  size_t sequences() const { return ends_.size(); }
  const std::vector<int32_t>& tokens() const { return tokens_; }        // [nodes]
  const std::vector<int32_t>& positions() const { return positions_; }  // [nodes] 0: first token
  const std::vector<int32_t>& parents() const { return parents_; }      // [nodes] -1: none
  // The node of each sequence's last token, [sequences].
  const std::vector<int32_t>& ends() const { return ends_; }

 private:
  std::vector<int32_t> tokens_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> parents_;
  std::vector<int32_t> ends_;
  std::unordered_map<uint64_t, int32_t> children_;  // by parent and token
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_PREFIX_TREE_H_
