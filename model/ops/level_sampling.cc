#include "model/ops/level_sampling.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/ops/cpu/kernels.h"
#include "model/ops/cuda/level_sampling.h"

namespace semsam::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor SampleWithGrid(const SamplingShape& shape, const at::Tensor& values,
                          const std::vector<ImageSize>& levels, const at::Tensor& locations,
                          const at::Tensor& weights) {
  const int64_t batch = values.size(0);
  const int64_t queries = locations.size(1);
  const int64_t head_dim = values.size(2) / shape.heads;
  const at::Tensor grids = locations * 2 - 1;
  std::vector<at::Tensor> samples;
  int64_t start = 0;
  for (size_t l = 0; l < levels.size(); ++l) {
    const at::Tensor map =
        values.slice(1, start, start + levels[l].area())
            .reshape({batch, levels[l].height, levels[l].width, shape.heads, head_dim})
            .permute({0, 3, 4, 1, 2})
            .reshape({batch * shape.heads, head_dim, levels[l].height, levels[l].width});
    const at::Tensor grid = grids.select(3, static_cast<int64_t>(l))
                                .transpose(1, 2)
                                .reshape({batch * shape.heads, queries, shape.points, 2});
    samples.push_back(at::grid_sampler(map, grid, /*interpolation_mode=*/0, /*padding_mode=*/0,
                                       /*align_corners=*/false));
    start += levels[l].area();
  }
  // [B * heads, head_dim, Q, L * P]
  const at::Tensor stacked = at::stack(samples, -2).flatten(-2);
  const at::Tensor scale = weights.transpose(1, 2).reshape(
      {batch * shape.heads, 1, queries, static_cast<int64_t>(levels.size()) * shape.points});
  return (stacked * scale)
      .sum(-1)
      .view({batch, shape.heads * head_dim, queries})
      .transpose(1, 2)
      .contiguous();
}

#ifdef SEMSAM_HAVE_CUDA_KERNELS
bool HasKernels(const at::Tensor& values) { return values.is_cpu() || values.is_cuda(); }

// Calls launch(stream) on the device and current stream of `values`.
template <typename Launch>
void RunOnGpu(const at::Tensor& values, Launch&& launch) {
  const c10::DeviceGuard guard(values.device());
  const c10::impl::VirtualGuardImpl device(values.device().type());
  const char* error = launch(device.getStream(values.device()).native_handle());
  TORCH_CHECK(error == nullptr, "SampleLevels: ", error);
}
#else
bool HasKernels(const at::Tensor& values) { return values.is_cpu(); }
#endif

void RunForward(const cpu::LevelSamplingArgs<float>& args, float* out, int64_t begin, int64_t end) {
  cpu::BestKernels().sample_levels(args, out, begin, end);
}
void RunForward(const cpu::LevelSamplingArgs<double>& args, double* out, int64_t begin,
                int64_t end) {
  cpu::BestKernels().sample_levels_double(args, out, begin, end);
}
void RunBackward(const cpu::LevelSamplingArgs<float>& args,
                 const cpu::LevelSamplingGrads<float>& grads, int64_t begin, int64_t end) {
  cpu::BestKernels().sample_levels_backward(args, grads, begin, end);
}
void RunBackward(const cpu::LevelSamplingArgs<double>& args,
                 const cpu::LevelSamplingGrads<double>& grads, int64_t begin, int64_t end) {
  cpu::BestKernels().sample_levels_backward_double(args, grads, begin, end);
}

// What forward and backward share; all tensors contiguous and of one type.
struct Inputs {
  at::Tensor values;             // [B, T, C]
  at::Tensor locations;          // [B, Q, heads, L, P, 2]
  at::Tensor weights;            // [B, Q, heads, L * P]
  std::vector<int64_t> heights;  // [L]
  std::vector<int64_t> widths;   // [L]

  int64_t batch() const { return values.size(0); }
  int64_t queries() const { return locations.size(1); }
  int64_t heads() const { return locations.size(2); }
};

template <typename T>
cpu::LevelSamplingArgs<T> KernelArgs(const Inputs& inputs) {
  cpu::LevelSamplingArgs<T> args = {.values = inputs.values.const_data_ptr<T>(),
                                    .locations = inputs.locations.const_data_ptr<T>(),
                                    .weights = inputs.weights.const_data_ptr<T>(),
                                    .tokens = inputs.values.size(1),
                                    .queries = inputs.queries(),
                                    .heads = inputs.heads(),
                                    .head_dim = inputs.values.size(2) / inputs.heads(),
                                    .levels = static_cast<int>(inputs.heights.size()),
                                    .points = static_cast<int>(inputs.locations.size(4))};
  int64_t start = 0;
  for (int l = 0; l < args.levels; ++l) {
    args.level[l] = {.height = inputs.heights[l], .width = inputs.widths[l], .start = start};
    start += inputs.heights[l] * inputs.widths[l];
  }
  return args;
}

template <typename T>
at::Tensor Forward(const Inputs& inputs) {
  at::Tensor out =
      at::empty({inputs.batch(), inputs.queries(), inputs.values.size(2)}, inputs.values.options());
  const cpu::LevelSamplingArgs<T> args = KernelArgs<T>(inputs);
  T* target = out.mutable_data_ptr<T>();
#ifdef SEMSAM_HAVE_CUDA_KERNELS
  if (inputs.values.is_cuda()) {
    RunOnGpu(inputs.values, [&](void* stream) {
      return cuda::SampleLevels(args, target, inputs.batch(), stream);
    });
    return out;
  }
#endif
  at::parallel_for(0, inputs.batch() * inputs.queries() * inputs.heads(), 256,
                   [&](int64_t begin, int64_t end) { RunForward(args, target, begin, end); });
  return out;
}

template <typename T>
variable_list Backward(const Inputs& inputs, const at::Tensor& grad_out) {
  const variable_list result = {at::zeros_like(inputs.values), at::empty_like(inputs.locations),
                                at::empty_like(inputs.weights)};
  const cpu::LevelSamplingArgs<T> args = KernelArgs<T>(inputs);
  const cpu::LevelSamplingGrads<T> grads = {.out = grad_out.const_data_ptr<T>(),
                                            .values = result[0].mutable_data_ptr<T>(),
                                            .locations = result[1].mutable_data_ptr<T>(),
                                            .weights = result[2].mutable_data_ptr<T>()};
#ifdef SEMSAM_HAVE_CUDA_KERNELS
  if (inputs.values.is_cuda()) {
    RunOnGpu(inputs.values, [&](void* stream) {
      return cuda::SampleLevelsBackward(args, grads, inputs.batch(), stream);
    });
    return result;
  }
#endif
  // A slice of one head of one image: threads share no pixel, so nothing is
  // atomic and sums keep their order.
  at::parallel_for(0, inputs.batch() * inputs.heads(), 1,
                   [&](int64_t begin, int64_t end) { RunBackward(args, grads, begin, end); });
  return result;
}

class LevelSampling : public torch::autograd::Function<LevelSampling> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& values,
                            const at::Tensor& locations, const at::Tensor& weights,
                            const std::vector<int64_t>& heights,
                            const std::vector<int64_t>& widths) {
    context->save_for_backward({values, locations, weights});
    context->saved_data["heights"] = heights;
    context->saved_data["widths"] = widths;
    const Inputs inputs = {values, locations, weights, heights, widths};
    return values.scalar_type() == at::kDouble ? Forward<double>(inputs) : Forward<float>(inputs);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    TORCH_CHECK(!c10::GradMode::is_enabled(), "SampleLevels has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const Inputs inputs = {saved[0], saved[1], saved[2],
                           context->saved_data["heights"].toIntVector(),
                           context->saved_data["widths"].toIntVector()};
    const at::Tensor grad_out = grads[0].contiguous();
    variable_list result = saved[0].scalar_type() == at::kDouble
                               ? Backward<double>(inputs, grad_out)
                               : Backward<float>(inputs, grad_out);
    result.resize(5);  // the sizes have no gradient
    return result;
  }
};

void CheckShapes(const SamplingShape& shape, const at::Tensor& values,
                 const std::vector<ImageSize>& levels, const at::Tensor& locations,
                 const at::Tensor& weights) {
  int64_t tokens = 0;
  for (const ImageSize& level : levels) tokens += level.area();
  const int64_t count = static_cast<int64_t>(levels.size());
  TORCH_CHECK(values.dim() == 3 && values.size(1) == tokens && shape.heads > 0 &&
                  values.size(2) % shape.heads == 0,
              "SampleLevels: values ", values.sizes(), " do not fit the pyramid");
  const int64_t batch = values.size(0);
  const int64_t queries = locations.dim() == 6 ? locations.size(1) : -1;
  TORCH_CHECK(locations.sizes().equals({batch, queries, shape.heads, count, shape.points, 2}) &&
                  weights.sizes().equals({batch, queries, shape.heads, count * shape.points}),
              "SampleLevels: locations ", locations.sizes(), " and weights ", weights.sizes(),
              " do not fit values ", values.sizes());
}

}  // namespace

at::Tensor SampleLevels(const SamplingShape& shape, const at::Tensor& values,
                        const std::vector<ImageSize>& levels, const at::Tensor& locations,
                        const at::Tensor& weights, Path path) {
  CheckShapes(shape, values, levels, locations, weights);
  const int64_t samples = static_cast<int64_t>(levels.size()) * shape.points;
  if (path != Path::kTraining || !HasKernels(values) || levels.size() > cpu::kMaxPyramidLevels ||
      samples > cpu::kMaxSamples) {
    return SampleWithGrid(shape, values, levels, locations, weights);
  }
  const at::ScalarType type = values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  std::vector<int64_t> heights, widths;
  for (const ImageSize& level : levels) {
    heights.push_back(level.height);
    widths.push_back(level.width);
  }
  return LevelSampling::apply(values.to(type).contiguous(), locations.to(type).contiguous(),
                              weights.to(type).contiguous(), heights, widths)
      .to(values.scalar_type());
}

}  // namespace semsam::ops
