// Prompts as the decoder takes them.
#ifndef SEMSAM_MODEL_NET_PROMPT_TENSORS_H_
#define SEMSAM_MODEL_NET_PROMPT_TENSORS_H_

#include "absl/types/span.h"
#include "model/base/types.h"
#include "model/torch/torch.h"

namespace semsam {

// Boxes [P, 4] (cx, cy, w, h) relative to the padded image, from prompts relative
// to the unpadded one. Product and quotient are rounded one after the other, as
// published.
at::Tensor PromptBoxes(absl::Span<const Prompt> prompts, ImageSize network, ImageSize padded);

// Rows [P] int64 of the point-or-box embedding.
at::Tensor PromptRows(absl::Span<const Prompt> prompts);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_PROMPT_TENSORS_H_
