// What the network said about one picture, and what is true.
//
// Boxes are cx, cy, w, h relative to the padded picture; masks and logits cover it.
#ifndef SEMSAM_MODEL_TRAINING_TARGETS_H_
#define SEMSAM_MODEL_TRAINING_TARGETS_H_

#include <cstdint>
#include <vector>

#include "model/torch/torch.h"

namespace semsam {

// One layer of the decoder on one picture: Q = prompts * tokens, prompt-major, or as
// many generic queries.
struct LayerPredictions {
  at::Tensor masks;          // [Q, h, w] logits
  at::Tensor boxes;          // [Q, 4]
  at::Tensor ious;           // [Q]; undefined for generic queries
  at::Tensor object_logits;  // [Q, C] against the object words; undefined: no words
  at::Tensor part_logits;    // [Q, C'] against the part words; undefined: no words
};

// Of an annotation instead of the index of a word.
inline constexpr int64_t kUnknownLabel = -1;  // nothing is learnt from it
inline constexpr int64_t kNoLabel = -2;       // it is none of the listed words

// What one class head may learn from a picture (paper, Table 2): nothing where no
// word is listed.
struct LabelTargets {
  std::vector<int64_t> labels;  // [G]
  // [C] bool: words that the annotations of the picture were drawn from: what has one
  // of them has none of the others. A word of another data set is not listed, and
  // no example against it.
  at::Tensor listed;
  // [C] bool: words that no region without annotation has: all that are listed where
  // every instance is annotated, else those known to be absent.
  at::Tensor absent;
};

struct PromptTarget {
  std::vector<int64_t> targets;  // indices in ImageTargets; the one it was made from first
  bool is_box = false;
};

struct ImageTargets {
  at::Tensor masks;  // [G, H, W] uint8, 0 or 1; H, W of the padded picture or coarser
  at::Tensor boxes;  // [G, 4] float
  // [G] bool: false where only the box is known; the mask is ignored.
  at::Tensor has_mask;
  // [1, H, W] uint8, 1 where nothing is known; undefined: all is known.
  at::Tensor unknown;
  std::vector<PromptTarget> prompts;
  LabelTargets objects;
  LabelTargets parts;

  int64_t size() const { return boxes.size(0); }
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TARGETS_H_
