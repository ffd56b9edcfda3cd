#include "model/ops/inverted_residual.h"

#include <algorithm>
#include <cstring>

#include "model/ops/cpu/kernels.h"
#include "model/ops/linear.h"

namespace semsam::ops {
namespace {

// What a strip may take: the better part of a core's second cache.
constexpr int64_t kStripFloats = 160 * 1024;
// A hidden map up to this size is made whole: the last cache holds it, and every panel
// of weights is then read once instead of once a strip.
constexpr int64_t kWholeFloats = 768 * 1024;
// Strips of two threads overlap by the kernel's rows, which both compute. More than one
// row in this many, and the map is made whole as well.
constexpr int64_t kOverlapShare = 16;
constexpr int64_t kImageKernel = 3;

// Rows or columns that a convolution takes and gives.
struct Side {
  int64_t inputs = 0;
  int64_t outputs = 0;
  int64_t before = 0;  // padding
  int64_t padded = 0;  // inputs with all padding
};

Side SameSide(int64_t inputs, int64_t kernel, int64_t stride) {
  const int64_t outputs = (inputs + stride - 1) / stride;
  const int64_t padded = std::max(inputs, (outputs - 1) * stride + kernel);
  return {inputs, outputs, (padded - inputs) / 2, padded};
}

}  // namespace

struct InvertedResidual::Layout {
  // Of the image, where that is convolved first.
  Side image_rows;
  Side image_columns;
  // Of the hidden map.
  Side rows;
  Side columns;
  int64_t row_floats = 0;     // of the padded hidden map
  int64_t output_floats = 0;  // of a row behind the depthwise convolution
  int64_t patch_floats = 0;   // of a row of patches of the image
};

// Rows are counted in the padded hidden map: output row o takes rows o * stride and the
// following ones.
class InvertedResidual::Run {
 public:
  Run(const InvertedResidual& block, const Layout& layout, const float* x, float* y)
      : block_(block), layout_(layout), x_(x), y_(y) {}

  // Fills rows [begin, end) of the hidden map, the first of them at `hidden`.
  void MakeHidden(int64_t begin, int64_t end, float* hidden, float* patches) const {
    const Side& rows = layout_.rows;
    const int64_t first = std::clamp(rows.before, begin, end);
    const int64_t last = std::clamp(rows.before + rows.inputs, begin, end);
    Clear(hidden, (first - begin) * layout_.row_floats);
    Clear(hidden + (last - begin) * layout_.row_floats, (end - last) * layout_.row_floats);
    if (first == last) return;
    float* inside = hidden + (first - begin) * layout_.row_floats;
    const int64_t before = layout_.columns.before * block_.hidden_;
    const int64_t width = layout_.columns.inputs * block_.hidden_;
    for (int64_t row = 0; row < last - first; ++row) {
      float* at = inside + row * layout_.row_floats;
      Clear(at, before);
      Clear(at + before + width, layout_.row_floats - before - width);
    }
    Fill(first - rows.before, last - first, inside + before, patches);
  }

  // Output rows [begin, end) from the hidden rows that start at `hidden`.
  void Finish(int64_t begin, int64_t end, const float* hidden, float* scratch) const {
    const cpu::Kernels& kernels = cpu::BestKernels();
    const int64_t width = layout_.columns.outputs;
    kernels.depthwise({.x = hidden,
                       .x_stride = layout_.row_floats,
                       .weights = block_.depthwise_.const_data_ptr<float>(),
                       .bias = block_.depthwise_bias_.const_data_ptr<float>(),
                       .y = scratch,
                       .rows = end - begin,
                       .width = width,
                       .channels = block_.hidden_,
                       .kernel = static_cast<int>(block_.kernel_),
                       .stride = static_cast<int>(block_.stride_)});
    const int64_t offset = begin * width * block_.project_.outputs;
    kernels.pointwise({.x = scratch,
                       .pixels = (end - begin) * width,
                       .k = block_.hidden_,
                       .panels = block_.project_.panels.const_data_ptr<float>(),
                       .bias = block_.project_.bias.const_data_ptr<float>(),
                       .residual = block_.residual_ ? x_ + offset : nullptr,
                       .y = y_ + offset,
                       .n = block_.project_.outputs});
  }

  // Output rows [begin, end), a strip at a time.
  void Strips(int64_t begin, int64_t end, int64_t strip, float* scratch) const {
    const int64_t stride = block_.stride_;
    const int64_t kernel = block_.kernel_;
    const int64_t floats = layout_.row_floats;
    float* hidden = scratch;
    float* finished = hidden + ((strip - 1) * stride + kernel) * floats;
    float* patches = finished + strip * layout_.output_floats;
    int64_t held = begin * stride;  // rows up to here are in `hidden`
    for (int64_t row = begin; row < end; row += strip) {
      const int64_t stop = std::min(end, row + strip);
      const int64_t first = row * stride;
      const int64_t last = (stop - 1) * stride + kernel;
      // What the strip before has made already moves to the front.
      const int64_t kept = held - first;
      if (kept > 0) std::memmove(hidden, hidden + strip * stride * floats, Bytes(kept * floats));
      MakeHidden(first + kept, last, hidden + kept * floats, patches);
      held = last;
      Finish(row, stop, hidden, finished);
    }
  }

 private:
  static size_t Bytes(int64_t floats) { return static_cast<size_t>(floats) * sizeof(float); }
  static void Clear(float* at, int64_t floats) { std::memset(at, 0, Bytes(floats)); }

  // Rows [begin, begin + count) of the hidden map without its padding; `out` is the first
  // pixel of the first one.
  void Fill(int64_t begin, int64_t count, float* out, float* patches) const {
    const Pointwise& first = block_.first_;
    const int64_t width = layout_.columns.inputs;
    if (!first.panels.defined()) {
      const int64_t floats = width * block_.hidden_;
      for (int64_t row = 0; row < count; ++row) {
        std::memcpy(out + row * layout_.row_floats, x_ + (begin + row) * floats, Bytes(floats));
      }
      return;
    }
    cpu::PointwiseArgs args = {.x = x_ + begin * width * first.inputs,
                               .x_stride = width * first.inputs,
                               .rows = count,
                               .pixels = width,
                               .k = first.inputs,
                               .panels = first.panels.const_data_ptr<float>(),
                               .bias = first.bias.const_data_ptr<float>(),
                               .y = out,
                               .y_stride = layout_.row_floats,
                               .n = first.outputs,
                               .relu6 = true};
    if (!block_.of_image_) return cpu::BestKernels().pointwise(args);
    args.x = patches;
    args.rows = 1;
    for (int64_t row = begin; row < begin + count; ++row, args.y += layout_.row_floats) {
      GatherPatches(row, patches);
      cpu::BestKernels().pointwise(args);
    }
  }

  // [width, C * 9] of what row `row` of the hidden map sees of the image.
  void GatherPatches(int64_t row, float* patches) const {
    const Side& rows = layout_.image_rows;
    const Side& columns = layout_.image_columns;
    const int64_t taps = block_.first_.inputs;
    for (int64_t line = 0; line < taps / kImageKernel; ++line) {  // of all planes
      const int64_t plane = line / kImageKernel;
      const int64_t y = 2 * row + line % kImageKernel - rows.before;
      const bool inside = y >= 0 && y < rows.inputs;
      const float* source = x_ + (plane * rows.inputs + (inside ? y : 0)) * columns.inputs;
      float* target = patches + line * kImageKernel;
      for (int64_t pixel = 0; pixel < columns.outputs; ++pixel, target += taps) {
        const int64_t x = 2 * pixel - columns.before;
        if (inside && x >= 0 && x + kImageKernel <= columns.inputs) {
          std::memcpy(target, source + x, Bytes(kImageKernel));
          continue;
        }
        for (int64_t i = 0; i < kImageKernel; ++i) {
          target[i] = inside && x + i >= 0 && x + i < columns.inputs ? source[x + i] : 0.0f;
        }
      }
    }
  }

  const InvertedResidual& block_;
  const Layout& layout_;
  const float* x_;
  float* y_;
};

InvertedResidual::InvertedResidual(const InvertedResidualWeights& weights)
    : project_(Prepare(weights.project)), stride_(weights.stride), residual_(weights.residual) {
  const at::Tensor& depthwise = weights.depthwise.weight;
  hidden_ = depthwise.size(0);
  kernel_ = depthwise.size(2);
  TORCH_CHECK(hidden_ % 16 == 0 && (kernel_ == 3 || kernel_ == 5) &&
                  (stride_ == 1 || stride_ == 2) && project_.inputs == hidden_,
              "an inverted residual of a shape without a kernel");
  depthwise_ = depthwise.reshape({hidden_, kernel_ * kernel_}).t().contiguous();
  depthwise_bias_ = weights.depthwise.bias.contiguous();
  if (!weights.first.weight.defined()) return;
  first_ = Prepare(weights.first);
  TORCH_CHECK(first_.outputs == hidden_, "an inverted residual whose parts do not fit");
  of_image_ = weights.first.weight.size(2) > 1;
  TORCH_CHECK(!of_image_ || weights.first.weight.size(2) == kImageKernel,
              "an image is convolved by 3x3 kernels alone");
}

InvertedResidual::Pointwise InvertedResidual::Prepare(const Convolution& convolution) {
  const at::Tensor rows = convolution.weight.flatten(1).contiguous();
  Pointwise prepared = {
      .panels = PackPanels(rows), .inputs = rows.size(1), .outputs = rows.size(0)};
  const int64_t columns = prepared.panels.size(0) * prepared.panels.size(2);
  prepared.bias = at::constant_pad_nd(convolution.bias, {0, columns - prepared.outputs});
  return prepared;
}

InvertedResidual::Layout InvertedResidual::MakeLayout(const at::Tensor& x) const {
  Layout layout;
  int64_t height = x.size(1);
  int64_t width = x.size(2);
  if (of_image_) {
    layout.image_rows = SameSide(x.size(2), kImageKernel, 2);
    layout.image_columns = SameSide(x.size(3), kImageKernel, 2);
    height = layout.image_rows.outputs;
    width = layout.image_columns.outputs;
    layout.patch_floats = width * first_.inputs;
  }
  layout.rows = SameSide(height, kernel_, stride_);
  layout.columns = SameSide(width, kernel_, stride_);
  layout.row_floats = layout.columns.padded * hidden_;
  layout.output_floats = layout.columns.outputs * hidden_;
  return layout;
}

at::Tensor InvertedResidual::operator()(const at::Tensor& x) const {
  const at::Tensor input = x.contiguous();
  const Layout layout = MakeLayout(input);
  const int64_t batch = input.size(0);
  const int64_t outputs = layout.rows.outputs;
  at::Tensor y =
      at::empty({batch, outputs, layout.columns.outputs, project_.outputs}, input.options());
  const int64_t threads = at::get_num_threads();
  const int64_t parts = std::clamp<int64_t>((threads + batch - 1) / batch, 1, outputs);
  const int64_t overlap = (parts - 1) * (kernel_ - stride_) * kOverlapShare;
  const bool small = layout.rows.padded * layout.row_floats <= kWholeFloats;
  if (of_image_ || (!small && overlap <= layout.rows.padded)) {
    MakeStrips(layout, parts, input, y);
  } else {
    MakeWhole(layout, input, y);
  }
  return y;
}

void InvertedResidual::MakeStrips(const Layout& layout, int64_t parts, const at::Tensor& x,
                                  at::Tensor& y) const {
  const int64_t outputs = layout.rows.outputs;
  const int64_t again = (kernel_ - stride_) * layout.row_floats;  // shared with the next strip
  const int64_t row = stride_ * layout.row_floats + layout.output_floats;
  const int64_t strip = std::max<int64_t>(1, (kStripFloats - again) / row);
  const int64_t floats = strip * row + again + layout.patch_floats;
  const int64_t tasks = x.size(0) * parts;
  at::Tensor scratch = at::empty({tasks, floats}, x.options());
  float* const scratches = scratch.mutable_data_ptr<float>();
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.mutable_data_ptr<float>();
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t image = task / parts;
      const int64_t part = task % parts;
      const Run run(*this, layout, from + image * x.stride(0), to + image * y.stride(0));
      run.Strips(outputs * part / parts, outputs * (part + 1) / parts, strip,
                 scratches + task * floats);
    }
  });
}

void InvertedResidual::MakeWhole(const Layout& layout, const at::Tensor& x, at::Tensor& y) const {
  at::Tensor hidden = at::empty({layout.rows.padded, layout.row_floats}, x.options());
  at::Tensor scratch = at::empty({layout.rows.outputs, layout.output_floats}, x.options());
  float* const map = hidden.mutable_data_ptr<float>();
  float* const finished = scratch.mutable_data_ptr<float>();
  for (int64_t image = 0; image < x.size(0); ++image) {
    const Run run(*this, layout, x.const_data_ptr<float>() + image * x.stride(0),
                  y.mutable_data_ptr<float>() + image * y.stride(0));
    at::parallel_for(0, layout.rows.padded, 1, [&](int64_t begin, int64_t end) {
      run.MakeHidden(begin, end, map + begin * layout.row_floats, /*patches=*/nullptr);
    });
    at::parallel_for(0, layout.rows.outputs, 1, [&](int64_t begin, int64_t end) {
      run.Finish(begin, end, map + begin * stride_ * layout.row_floats,
                 finished + begin * layout.output_floats);
    });
  }
}

}  // namespace semsam::ops
