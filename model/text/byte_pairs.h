// Byte-pair encoding (Sennrich et al. 2016) as CLIP does it: a word is its bytes,
// the last marked as the end, and the pair that stands first in the vocabulary is
// joined until none is left.
#ifndef SEMSAM_MODEL_TEXT_BYTE_PAIRS_H_
#define SEMSAM_MODEL_TEXT_BYTE_PAIRS_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"

namespace semsam {

// Ids: 256 bytes, the same as ends of words, then one a merge.
// Immutable, safe to share between threads.
class BytePairs {
 public:
  // `vocabulary`: a line of heading, then a merge a line ("th e</w>"), the first
  // `merges` of which count. DATA_LOSS if one is not made of what stands before it.
  static absl::StatusOr<BytePairs> Parse(std::string_view vocabulary, int merges);

  // Appends the ids of one word (any bytes). O(n log n) for n bytes.
  void Encode(std::string_view word, std::vector<int32_t>& ids) const;

  // Ids of byte symbols and merges together.
  int32_t size() const { return size_; }

 private:
  struct Piece;

  BytePairs();
  static uint64_t PairKey(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  // The id of the joined pair; -1: not joined. Ids rise with rank.
  int32_t Joined(int32_t left, int32_t right) const;

  std::array<int32_t, 256> byte_ids_;
  std::unordered_map<uint64_t, int32_t> pairs_;
  int32_t size_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_BYTE_PAIRS_H_
