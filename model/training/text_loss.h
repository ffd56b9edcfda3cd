// How far a text encoder is from its teacher.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_LOSS_H_
#define SEMSAM_MODEL_TRAINING_TEXT_LOSS_H_

#include "absl/status/status.h"
#include "model/torch/torch.h"

namespace semsam {

struct TextLossOptions {
  // Of the relations between the names of a batch, against the distance of each name.
  double relation_weight = 0.1;
  double relation_temperature = 0.07;  // of cosines; smaller: the nearest alone count
};
absl::Status Validate(const TextLossOptions& options);

struct TextLoss {
  at::Tensor total;     // distance + relation_weight * relation
  at::Tensor distance;  // mean of 1 - cosine
  // Mean divergence, in nats, of the student's likeness to the teacher's rows of the
  // batch from the teacher's own: what keeps neighbours in their order.
  at::Tensor relation;
};

// embeddings [B, D] as the encoder gives them, of any norm; targets [B, D] of norm 1.
// Scalars, differentiable.
TextLoss CompareTexts(const at::Tensor& embeddings, const at::Tensor& targets,
                      const TextLossOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_LOSS_H_
