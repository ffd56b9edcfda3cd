#include "model/ops/deformable_attention.h"

#include <vector>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops {
namespace {

bool KernelTakes(Path path, const at::Tensor& tensor, const SamplingShape& shape, size_t levels,
                 int64_t channels) {
  return UseCpuKernel(path, tensor) && channels % 16 == 0 &&
         levels <= static_cast<size_t>(cpu::kMaxPyramidLevels) &&
         static_cast<int64_t>(levels) * shape.points <= cpu::kMaxSamples;
}

std::vector<cpu::PyramidLevel> KernelLevels(const std::vector<ImageSize>& levels) {
  std::vector<cpu::PyramidLevel> result;
  int64_t start = 0;
  for (const ImageSize& level : levels) {
    result.push_back({.height = level.height, .width = level.width, .start = start});
    start += level.area();
  }
  return result;
}

struct SplitProjections {
  at::Tensor offsets;  // [B, Q, heads, L, P, 2]
  at::Tensor weights;  // [B, Q, heads, L * P], softmax applied
};

SplitProjections Split(const SamplingShape& shape, int64_t levels, const at::Tensor& projections) {
  const int64_t samples = shape.heads * levels * shape.points;
  const int64_t batch = projections.size(0);
  const int64_t queries = projections.size(1);
  return {.offsets = projections.slice(2, 0, 2 * samples)
                         .reshape({batch, queries, shape.heads, levels, shape.points, 2}),
          .weights = at::softmax(projections.slice(2, 2 * samples)
                                     .reshape({batch, queries, shape.heads, levels * shape.points}),
                                 -1)};
}

// [L * P * 2]: width and height of the level of each sample.
at::Tensor LevelSizes(const SamplingShape& shape, const std::vector<ImageSize>& levels,
                      const at::TensorOptions& options) {
  std::vector<float> sizes;
  for (const ImageSize& level : levels) {
    for (int64_t point = 0; point < shape.points; ++point) {
      sizes.push_back(static_cast<float>(level.width));
      sizes.push_back(static_cast<float>(level.height));
    }
  }
  return at::tensor(sizes).to(options);
}

// references [Q, 2] plus offsets [B, Q, heads, L, P, 2] in pixels, in 0..1. Rows of
// L * P * 2 numbers: LibTorch is slow where the innermost dimension is a pair.
at::Tensor PlaceSamples(const SamplingShape& shape, const std::vector<ImageSize>& levels,
                        const at::Tensor& references, const at::Tensor& offsets) {
  const at::Tensor rows = offsets.flatten(3);
  const at::Tensor base = references.repeat({1, rows.size(3) / 2}).view({1, -1, 1, rows.size(3)});
  return (base + rows / LevelSizes(shape, levels, references.options())).view(offsets.sizes());
}

at::Tensor ReferenceBoxAttention(const SamplingShape& shape, const ValueProjection& values,
                                 absl::Span<const PyramidMemory> images,
                                 absl::Span<const int> image_of_query,
                                 const at::Tensor& projections, const at::Tensor& references,
                                 Path path) {
  at::Tensor out =
      at::empty({projections.size(0), values.full.out_features()}, projections.options());
  for (size_t image = 0; image < images.size(); ++image) {
    std::vector<int64_t> rows;
    for (size_t q = 0; q < image_of_query.size(); ++q) {
      if (image_of_query[q] == static_cast<int>(image)) rows.push_back(static_cast<int64_t>(q));
    }
    if (rows.empty()) continue;
    const at::Tensor index = at::tensor(rows).to(projections.device());
    const int64_t levels = static_cast<int64_t>(images[image].levels.size());
    const SplitProjections split =
        Split(shape, levels, projections.index_select(0, index).unsqueeze(0));
    const at::Tensor boxes = references.index_select(0, index).view({1, -1, 1, 1, 1, 4});
    const at::Tensor locations = boxes.slice(-1, 0, 2) + split.offsets /
                                                             static_cast<double>(shape.points) *
                                                             boxes.slice(-1, 2, 4) * 0.5;
    const at::Tensor projected =
        images[image].values.defined() ? images[image].values : values.full(images[image].memory);
    out.index_copy_(0, index,
                    SampleLevels(shape, projected.unsqueeze(0), images[image].levels, locations,
                                 split.weights, path)
                        .squeeze(0));
  }
  return out;
}

// What the kernels need of some queries: rows of `projections` and `references`.
struct KernelQueries {
  std::vector<cpu::QueryMemory> memories;
  at::Tensor projections;  // [Q, heads*L*P*3]
  at::Tensor references;   // [Q, 4]
  int levels = 0;
};

at::Tensor SampleValues(const SamplingShape& shape, const KernelQueries& queries,
                        int64_t channels) {
  const int64_t count = queries.projections.size(0);
  at::Tensor out = at::empty({count, channels}, queries.projections.options());
  const cpu::BoxDeformableArgs args = {
      .queries = queries.memories.data(),
      .projections = queries.projections.const_data_ptr<float>(),
      .references = queries.references.const_data_ptr<float>(),
      .out = out.mutable_data_ptr<float>(),
      .heads = shape.heads,
      .head_dim = channels / shape.heads,
      .levels = queries.levels,
      .points = static_cast<int>(shape.points),
  };
  at::parallel_for(0, count * shape.heads, 64, [&](int64_t begin, int64_t end) {
    cpu::BestKernels().box_deformable(args, begin, end);
  });
  return out;
}

at::Tensor SampleMemory(const SamplingShape& shape, const ValueProjection& values,
                        const KernelQueries& queries, int64_t channels) {
  const int64_t count = queries.projections.size(0);
  const at::TensorOptions options = queries.projections.options();
  at::Tensor sampled = at::empty({count, shape.heads, channels}, options);
  at::Tensor weight_sums = at::empty({count, shape.heads}, options);
  const cpu::LazyDeformableArgs args = {
      .queries = queries.memories.data(),
      .projections = queries.projections.const_data_ptr<float>(),
      .references = queries.references.const_data_ptr<float>(),
      .sampled = sampled.mutable_data_ptr<float>(),
      .weight_sums = weight_sums.mutable_data_ptr<float>(),
      .heads = shape.heads,
      .channels = channels,
      .levels = queries.levels,
      .points = static_cast<int>(shape.points),
  };
  at::parallel_for(0, count * shape.heads, 8, [&](int64_t begin, int64_t end) {
    cpu::BestKernels().lazy_deformable(args, begin, end);
  });
  return values.heads(sampled, weight_sums);
}

}  // namespace

at::Tensor DeformableAttention(const SamplingShape& shape, const at::Tensor& values,
                               const std::vector<ImageSize>& levels, const at::Tensor& projections,
                               const at::Tensor& references, Path path) {
  const int64_t channels = values.size(2);
  if (!KernelTakes(path, values, shape, levels.size(), channels / shape.heads)) {
    const SplitProjections split = Split(shape, static_cast<int64_t>(levels.size()), projections);
    return SampleLevels(shape, values, levels,
                        PlaceSamples(shape, levels, references, split.offsets), split.weights,
                        path);
  }
  const at::Tensor inputs = values.contiguous();
  const at::Tensor rows = projections.contiguous();
  const at::Tensor points = references.contiguous();
  at::Tensor out = at::empty({values.size(0), projections.size(1), channels}, values.options());
  cpu::DeformableArgs args = {.references = points.const_data_ptr<float>(),
                              .heads = shape.heads,
                              .head_dim = channels / shape.heads,
                              .levels = static_cast<int>(levels.size()),
                              .points = static_cast<int>(shape.points)};
  const std::vector<cpu::PyramidLevel> pyramid = KernelLevels(levels);
  std::copy(pyramid.begin(), pyramid.end(), args.level);
  for (int64_t image = 0; image < values.size(0); ++image) {
    args.values = inputs.const_data_ptr<float>() + image * inputs.stride(0);
    args.projections = rows.const_data_ptr<float>() + image * rows.stride(0);
    args.out = out.mutable_data_ptr<float>() + image * out.stride(0);
    at::parallel_for(0, projections.size(1), 64, [&](int64_t begin, int64_t end) {
      cpu::BestKernels().deformable(args, begin, end);
    });
  }
  return out;
}

ValueProjection PrepareValueProjection(const at::Tensor& weight, const at::Tensor& bias,
                                       const SamplingShape& shape, Path path) {
  // The full projection runs through LibTorch whatever the path: it is a large
  // product, and only the reference form uses it.
  ValueProjection projection{.full = Linear(weight, bias, Path::kReference), .heads = {}};
  if (UseCpuKernel(path, weight)) projection.heads = HeadProjection(weight, bias, shape.heads);
  return projection;
}

at::Tensor BoxDeformableAttention(const SamplingShape& shape, const ValueProjection& values,
                                  absl::Span<const PyramidMemory> images,
                                  absl::Span<const int> image_of_query,
                                  const at::Tensor& projections, const at::Tensor& references,
                                  Path path) {
  const int64_t channels = values.full.in_features();
  if (!KernelTakes(path, projections, shape, images[0].levels.size(), channels)) {
    return ReferenceBoxAttention(shape, values, images, image_of_query, projections, references,
                                 path);
  }
  // Narrower heads than the kernel reads: the raw memory serves as well.
  const bool kernel_takes_values = channels / shape.heads % 16 == 0;
  std::vector<std::vector<cpu::PyramidLevel>> pyramids;
  for (const PyramidMemory& image : images) {
    TORCH_CHECK(image.memory.is_contiguous() && image.levels.size() == images[0].levels.size(),
                "memories of one call must share their number of levels");
    TORCH_CHECK(!image.values.defined() ||
                    (image.values.is_contiguous() && image.values.sizes() == image.memory.sizes()),
                "projected values must be laid out like their memory");
    pyramids.push_back(KernelLevels(image.levels));
  }
  // Two kinds of queries: over values, and over raw memory.
  const int levels = static_cast<int>(images[0].levels.size());
  KernelQueries kinds[2] = {{.levels = levels}, {.levels = levels}};
  std::vector<int64_t> rows[2];
  for (size_t q = 0; q < image_of_query.size(); ++q) {
    const int index = image_of_query[q];
    const PyramidMemory& image = images[index];
    const bool raw = !image.values.defined() || !kernel_takes_values;
    kinds[raw].memories.push_back(
        {.memory = (raw ? image.memory : image.values).const_data_ptr<float>(),
         .level = pyramids[index].data()});
    rows[raw].push_back(static_cast<int64_t>(q));
  }
  const auto run = [&](bool raw) {
    return raw ? SampleMemory(shape, values, kinds[raw], channels)
               : SampleValues(shape, kinds[raw], channels);
  };
  for (const bool raw : {false, true}) {
    if (!rows[!raw].empty()) continue;
    kinds[raw].projections = projections.contiguous();
    kinds[raw].references = references.contiguous();
    return run(raw);
  }
  at::Tensor out = at::empty({projections.size(0), channels}, projections.options());
  for (const bool raw : {false, true}) {
    const at::Tensor index = at::tensor(rows[raw]);
    kinds[raw].projections = projections.index_select(0, index);
    kinds[raw].references = references.index_select(0, index);
    out.index_copy_(0, index, run(raw));
  }
  return out;
}

}  // namespace semsam::ops
