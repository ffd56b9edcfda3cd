// Decoupled object and part classification (paper, section 3.2): each head is
// trained against its own words, with the sigmoid focal loss (parity/vocab notes,
// section 5), and only where the data says something.
#ifndef SEMSAM_MODEL_TRAINING_LABEL_LOSS_H_
#define SEMSAM_MODEL_TRAINING_LABEL_LOSS_H_

#include "model/torch/torch.h"
#include "model/training/matcher.h"
#include "model/training/targets.h"

namespace semsam {

struct FocalOptions {
  double alpha = 0.25;
  double gamma = 2;
};

// Which logits [Q, C] are examples, and of what.
struct LabelExamples {
  at::Tensor weights;  // [Q, C] float, 0: not an example
  at::Tensor truth;    // [Q, C] float, 0 or 1
};

// Matched queries are examples by their label: of a word against the other listed
// ones, of none of them, or of nothing. The other queries are examples against the
// absent words, each with `rest` [Q] in 0..1; undefined: they are none. Throws c10::Error for an
// index that is none.
LabelExamples MakeLabelExamples(int64_t queries, const LabelTargets& targets, const Pairs& pairs,
                                const at::Tensor& rest);

// Summed over all examples, a scalar. Differentiable in the logits.
at::Tensor FocalLoss(const at::Tensor& logits, const LabelExamples& examples,
                     const FocalOptions& options);

// How much of each predicted mask [Q, h, w] (logits) lies in what is known, [Q] in
// 0..1; `unknown` as in ImageTargets. 1 for an empty mask. No gradient.
at::Tensor KnownShare(const at::Tensor& masks, const at::Tensor& unknown);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_LABEL_LOSS_H_
