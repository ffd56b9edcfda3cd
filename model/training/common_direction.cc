#include "model/training/common_direction.h"

#include <ATen/ops/linalg_svd.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <tuple>

#include "model/base/errors.h"
#include "model/torch/catch.h"

namespace semsam {
namespace {

constexpr char kNormWeight[] = "sem_seg_head.predictor.lang_encoder.lang_encoder.ln_final.weight";
constexpr char kNormBias[] = "sem_seg_head.predictor.lang_encoder.lang_encoder.ln_final.bias";
constexpr char kProjection[] = "sem_seg_head.predictor.lang_encoder.lang_proj";
constexpr char kLogitScale[] = "sem_seg_head.predictor.lang_encoder.logit_scale";
constexpr double kTemperature = 0.07;

}  // namespace

absl::Status AddCommonDirection(double share, NamedTensors& weights) {
  if (!(share > 0 && share < 1)) return InvalidField("share", "must be between 0 and 1");
  for (const char* name : {kNormWeight, kNormBias, kProjection, kLogitScale}) {
    if (!weights.contains(name)) {
      return absl::InvalidArgumentError("the network has no text encoder");
    }
  }
  return CatchTorch([&]() -> absl::Status {
    const c10::NoGradGuard no_grad;
    const at::Tensor projection = weights[kProjection].to(at::kDouble);  // [width, text_dim]
    const auto [left, values, right] = at::linalg_svd(projection, /*full_matrices=*/false);
    const int64_t least = values.size(0) - 1;
    TORCH_CHECK(values[least].item<double>() > 0, "the projection of the text is singular");
    // What leaves the norm has variance 1 a channel before its weights: the typical length
    // of an embedding.
    const double length =
        (weights[kNormWeight].to(at::kDouble).unsqueeze(1) * projection).norm().item<double>();
    const double common = length * std::sqrt(share / (1 - share));
    at::Tensor& bias = weights[kNormBias];
    const at::Tensor shift = left.select(1, least) * (common / values[least]);
    bias = (bias.to(at::kDouble) + shift).to(bias.scalar_type());
    at::Tensor& scale = weights[kLogitScale];
    scale = at::full_like(scale, -std::log(kTemperature * std::sqrt(1 - share)));
    return absl::OkStatus();
  });
}

}  // namespace semsam
