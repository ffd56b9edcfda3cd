// The decoupled class heads (paper, section 3.3): how much a query looks like a
// word. The object and the part head differ in their projection alone.
#ifndef SEMSAM_MODEL_NET_CLASS_HEADS_H_
#define SEMSAM_MODEL_NET_CLASS_HEADS_H_

#include "model/base/model_config.h"
#include "model/base/types.h"
#include "model/net/tensor_map.h"
#include "model/torch/torch.h"

namespace semsam {

// Thread-safe: nothing changes after construction.
class ClassHeads {
 public:
  // Holds the heads that `config` claims to use; none without text.
  ClassHeads(const ModelConfig& config, const TensorMap& weights);

  bool Has(LabelHead head) const { return Projection(head).defined(); }

  // queries [N, C] (normed as the caller's use demands), text [M, D] of unit norm ->
  // exp(logit_scale) * cosine, [N, M]. Throws c10::Error without such a head.
  at::Tensor Logits(LabelHead head, const at::Tensor& queries, const at::Tensor& text) const;

  // The largest logit of each row, [N]: the same without holding all of them.
  at::Tensor MaxLogits(LabelHead head, const at::Tensor& queries, const at::Tensor& text) const;

 private:
  const at::Tensor& Projection(LabelHead head) const {
    return head == LabelHead::kObject ? object_ : part_;
  }

  at::Tensor object_;  // [C, D]
  at::Tensor part_;    // [C, D]
  at::Tensor scale_;   // [] float64, exp(logit_scale)
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_CLASS_HEADS_H_
