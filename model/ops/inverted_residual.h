// Inverted residual blocks (Sandler et al. 2018) with ReLU6, for inference on a CPU.
//
// The six times wider hidden map is what makes such a block slow: written to memory and
// read back it costs more than the arithmetic. Here a strip of rows is widened, convolved
// and narrowed while it lies in a core's own cache.
#ifndef SEMSAM_MODEL_OPS_INVERTED_RESIDUAL_H_
#define SEMSAM_MODEL_OPS_INVERTED_RESIDUAL_H_

#include <cstdint>

#include "model/torch/torch.h"

namespace semsam::ops {

struct Convolution {
  at::Tensor weight;  // [Cout, Cin / groups, k, k]
  at::Tensor bias;    // [Cout]
};

struct InvertedResidualWeights {
  // A 3x3 convolution of stride 2 of the image itself, a 1x1 convolution, or nothing
  // (no weight): what the depthwise one works on.
  Convolution first;
  Convolution depthwise;  // 3x3 or 5x5, a multiple of 16 channels
  Convolution project;    // 1x1, no activation
  int64_t stride = 1;     // of the depthwise one, 1 or 2
  bool residual = false;  // adds the input
};

// Every convolution is padded as TensorFlow's SAME pads. A pixel of the result depends on
// its own inputs alone and is summed in a fixed order, bit for bit, however many threads
// there are. Immutable after construction, safe to share between threads.
class InvertedResidual {
 public:
  // float32 on a CPU.
  explicit InvertedResidual(const InvertedResidualWeights& weights);

  // x [B, H, W, C], or the image [B, C, H, W] where `first` is a convolution of it ->
  // [B, H', W', Cout].
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  // A 1x1 convolution, or a 3x3 one over gathered patches.
  struct Pointwise {
    at::Tensor panels;  // undefined: there is none
    at::Tensor bias;    // padded to whole panels
    int64_t inputs = 0;
    int64_t outputs = 0;
  };
  struct Layout;  // sizes of one call
  class Run;      // one image of one call

  static Pointwise Prepare(const Convolution& convolution);
  Layout MakeLayout(const at::Tensor& x) const;
  // Images in `parts` parts, each strip by strip on one thread.
  void MakeStrips(const Layout& layout, int64_t parts, const at::Tensor& x, at::Tensor& y) const;
  // The whole hidden map, then the rest.
  void MakeWhole(const Layout& layout, const at::Tensor& x, at::Tensor& y) const;

  Pointwise first_;
  bool of_image_ = false;  // what `first` convolves
  Pointwise project_;
  at::Tensor depthwise_;  // [k * k, C]
  at::Tensor depthwise_bias_;
  int64_t hidden_ = 0;  // channels
  int64_t kernel_ = 0;
  int64_t stride_ = 1;
  bool residual_ = false;
};

}  // namespace semsam::ops

#endif  // SEMSAM_MODEL_OPS_INVERTED_RESIDUAL_H_
