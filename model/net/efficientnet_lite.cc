#include "model/net/efficientnet_lite.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

// In place, which a gradient allows: a convolution's does not need what came out, and
// this one's is told from its own result.
at::Tensor Relu6(at::Tensor x) { return at::hardtanh_(x, 0, 6); }

}  // namespace

EfficientNetLite::EfficientNetLite(const EfficientNetLiteConfig& config, const TensorMap& weights,
                                   ops::Path path)
    : path_(path), stem_(Load(weights, "backbone.stem")) {
  fused_ = ops::UseCpuKernel(path, stem_.weight);
  stem_.stride = 2;
  for (size_t s = 0; s < kEfficientNetLiteStages.size(); ++s) {
    std::vector<Block>& stage = stages_.emplace_back();
    for (int b = 0; b < config.depths[s]; ++b) {
      const int64_t stride = b == 0 ? kEfficientNetLiteStages[s].stride : 1;
      stage.push_back(
          LoadBlock(weights, absl::StrCat("backbone.stages.", s, ".blocks.", b), stride));
    }
  }
  if (fused_) FuseBlocks();
}

std::array<at::Tensor, 4> EfficientNetLite::Forward(const at::Tensor& image) const {
  std::array<at::Tensor, 4> features;
  at::Tensor x = fused_ ? image : Relu6(stem_(image.contiguous(at::MemoryFormat::ChannelsLast)));
  size_t feature = 0;
  for (size_t s = 0; s < stages_.size(); ++s) {
    for (const Block& block : stages_[s]) x = RunBlock(block, x);
    if (static_cast<int>(s) != kEfficientNetLiteFeatures[feature]) continue;
    features[feature++] = fused_ ? x : x.permute({0, 2, 3, 1}).contiguous();
  }
  return features;
}

at::Tensor EfficientNetLite::Convolution::operator()(const at::Tensor& x) const {
  const int64_t kernel = weight.size(2);
  const int64_t centre = (kernel - 1) / 2;
  if (stride == 1) return at::conv2d(x, weight, bias, stride, centre, /*dilation=*/1, groups);
  const auto padding = [&](int64_t side) {
    const int64_t outputs = (side + stride - 1) / stride;
    return std::max<int64_t>(0, (outputs - 1) * stride + kernel - side);
  };
  const int64_t height = padding(x.size(2));
  const int64_t width = padding(x.size(3));
  const at::Tensor padded =
      at::constant_pad_nd(x, {width / 2, width - width / 2, height / 2, height - height / 2});
  return at::conv2d(padded, weight, bias, stride, /*padding=*/at::IntArrayRef({0, 0}),
                    /*dilation=*/1, groups);
}

EfficientNetLite::Convolution EfficientNetLite::Load(const TensorMap& weights,
                                                     const std::string& prefix) {
  return {.weight = weights.Get(prefix + ".weight"), .bias = weights.Get(prefix + ".bias")};
}

EfficientNetLite::Block EfficientNetLite::LoadBlock(const TensorMap& weights,
                                                    const std::string& prefix,
                                                    int64_t stride) const {
  Block block;
  block.depthwise = Load(weights, prefix + ".depthwise");
  if (path_ == ops::Path::kTraining) {
    block.depthwise.weight = block.depthwise.weight.detach();
    block.depthwise.bias = block.depthwise.bias.detach();
  }
  block.depthwise.stride = stride;
  const int64_t hidden = block.depthwise.weight.size(0);
  block.depthwise.groups = hidden;
  block.project = Load(weights, prefix + ".project");
  int64_t inputs = hidden;
  if (weights.Has(prefix + ".expand.weight")) {
    block.expand = Load(weights, prefix + ".expand");
    inputs = block.expand.weight.size(1);
  }
  block.residual = stride == 1 && inputs == block.project.weight.size(0);
  return block;
}

void EfficientNetLite::FuseBlocks() {
  const auto plain = [](const Convolution& convolution) -> ops::Convolution {
    return {convolution.weight, convolution.bias};
  };
  for (std::vector<Block>& stage : stages_) {
    for (Block& block : stage) {
      const bool first = &block == &stages_[0][0];
      block.fused.emplace(ops::InvertedResidualWeights{.first = plain(first ? stem_ : block.expand),
                                                       .depthwise = plain(block.depthwise),
                                                       .project = plain(block.project),
                                                       .stride = block.depthwise.stride,
                                                       .residual = block.residual});
    }
  }
}

at::Tensor EfficientNetLite::RunBlock(const Block& block, const at::Tensor& x) {
  if (block.fused) return (*block.fused)(x);
  const at::Tensor hidden = block.expand.weight.defined() ? Relu6(block.expand(x)) : x;
  at::Tensor out = block.project(Relu6(block.depthwise(hidden)));
  // In place: a sum's gradient needs neither part.
  return block.residual ? out.add_(x) : out;
}

}  // namespace semsam
