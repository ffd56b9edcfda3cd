#include "model/training/text_loss.h"

#include <cmath>

#include "model/base/errors.h"

namespace semsam {
namespace {

constexpr double kNormEpsilon = 1e-7;  // as TextEmbedder has it

}  // namespace

absl::Status Validate(const TextLossOptions& options) {
  if (!(options.relation_weight >= 0 && std::isfinite(options.relation_weight))) {
    return InvalidField("relation_weight", "must be 0 or more");
  }
  if (!(options.relation_temperature >= 1e-3 && options.relation_temperature <= 10)) {
    return InvalidField("relation_temperature", "must lie in 0.001 to 10");
  }
  return absl::OkStatus();
}

TextLoss CompareTexts(const at::Tensor& embeddings, const at::Tensor& targets,
                      const TextLossOptions& options) {
  const at::Tensor norms = at::linalg_vector_norm(embeddings, 2, {1}, /*keepdim=*/true);
  const at::Tensor unit = embeddings / (norms + kNormEpsilon);
  const double scale = 1 / options.relation_temperature;
  const at::Tensor ours = at::log_softmax(at::matmul(unit, targets.t()) * scale, 1);
  const at::Tensor theirs = at::log_softmax(at::matmul(targets, targets.t()) * scale, 1);
  TextLoss loss;
  loss.distance = 1 - (unit * targets).sum(1).mean();
  loss.relation = (theirs.exp() * (theirs - ours)).sum(1).mean();
  loss.total = loss.distance + options.relation_weight * loss.relation;
  return loss;
}

}  // namespace semsam
