#include "model/net/class_heads.h"

#include <algorithm>
#include <string>
#include <vector>

namespace semsam {
namespace {

constexpr char kPrefix[] = "sem_seg_head.predictor.";
// Published guard against queries of norm zero.
constexpr double kNormEpsilon = 1e-7;
// Floats of projected queries and logits a block.
constexpr int64_t kBlockFloats = 1 << 22;

}  // namespace

ClassHeads::ClassHeads(const ModelConfig& config, const TensorMap& weights) {
  if (!config.text) return;
  const std::string prefix = kPrefix;
  const Capabilities& can = config.capabilities;
  if (can.object_labels || can.vocabulary) object_ = weights.Get(prefix + "class_embed");
  if (can.part_labels) part_ = weights.Get(prefix + "class_embed_part");
  scale_ = weights.Get(prefix + "lang_encoder.logit_scale").to(at::kDouble).exp();
}

at::Tensor ClassHeads::Logits(LabelHead head, const at::Tensor& queries,
                              const at::Tensor& text) const {
  TORCH_CHECK(Has(head), "the model has no such class head");
  const at::Tensor projected = at::matmul(queries, Projection(head));
  const at::Tensor norm = at::linalg_vector_norm(projected, /*ord=*/2, {-1}, /*keepdim=*/true);
  return at::matmul(projected / (norm + kNormEpsilon), text.t()).mul_(scale_);
}

at::Tensor ClassHeads::MaxLogits(LabelHead head, const at::Tensor& queries,
                                 const at::Tensor& text) const {
  const int64_t rows = queries.size(0);
  const int64_t block = std::max<int64_t>(64, kBlockFloats / (text.size(0) + text.size(1)));
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < rows; begin += block) {
    const at::Tensor some = queries.slice(0, begin, std::min(rows, begin + block));
    parts.push_back(Logits(head, some, text).amax(1));
  }
  return at::cat(parts);
}

}  // namespace semsam
