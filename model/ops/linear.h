// Linear layers for the decoder: few rows, each weight read once.
//
// Guarantee: a row of the result depends on that row of the input alone, bit for
// bit, whatever else is in the batch (native path on a CPU). A general matrix
// product does not promise that: its blocking follows the number of rows.
#ifndef SEMSAM_MODEL_OPS_LINEAR_H_
#define SEMSAM_MODEL_OPS_LINEAR_H_

#include "model/ops/cpu/kernels.h"
#include "model/ops/path.h"
#include "model/torch/torch.h"

namespace semsam::ops {

// y = x W^T + b, with the weights also kept in the kernel's own order.
// Immutable after construction, safe to share between threads.
class Linear {
 public:
  Linear() = default;
  // weight [N, K] float32; bias [N] or undefined.
  Linear(at::Tensor weight, at::Tensor bias, Path path);

  // x [..., K] -> [..., N]
  at::Tensor operator()(const at::Tensor& x) const { return Run(x, cpu::Activation::kNone); }
  at::Tensor Relu(const at::Tensor& x) const { return Run(x, cpu::Activation::kRelu); }
  // z * sigmoid(1.702 z) of the product z.
  at::Tensor QuickGelu(const at::Tensor& x) const { return Run(x, cpu::Activation::kQuickGelu); }

  const at::Tensor& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }
  int64_t in_features() const { return weight_.size(1); }
  int64_t out_features() const { return weight_.size(0); }
  // The kernel's copy of the weights, undefined off the native path.
  const at::Tensor& panels() const { return panels_; }

 private:
  at::Tensor Run(const at::Tensor& x, cpu::Activation activation) const;

  at::Tensor weight_;
  at::Tensor bias_;
  at::Tensor panels_;
};

// Weights [N, K] (rows of any stride) in the order of the CPU kernels.
at::Tensor PackPanels(const at::Tensor& weight);

// x [M, K] against packed weights of N rows -> [M, N]; `out` is written.
void PackedLinear(const at::Tensor& x, const at::Tensor& panels, const at::Tensor& bias,
                  cpu::Activation activation, at::Tensor& out);

// A linear layer applied head by head to inputs that differ by head: what is left
// of the value projection once attention has summed raw values (performance
// notes, rewrite 1). Immutable after construction, safe to share.
class HeadProjection {
 public:
  HeadProjection() = default;
  // weight [heads * head_dim, K] float32 on a CPU, bias [heads * head_dim].
  HeadProjection(const at::Tensor& weight, const at::Tensor& bias, int64_t heads);

  // sampled [M, heads, K], weight_sums [M, heads] -> [M, heads * head_dim]:
  // weight_h sampled_h + bias_h * weight_sums_h.
  at::Tensor operator()(const at::Tensor& sampled, const at::Tensor& weight_sums) const;

 private:
  at::Tensor panels_;  // [heads, panels a head, K, panel width]
  at::Tensor bias_;    // [heads, head_dim]
};

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_LINEAR_H_
