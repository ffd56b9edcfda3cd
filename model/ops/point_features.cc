#include "model/ops/point_features.h"

#include <algorithm>
#include <vector>

namespace semsam::ops {
namespace {

// Two neighbouring cells of an axis and the share of the second.
struct Between {
  int64_t low = 0;
  int64_t high = 0;
  float share = 0;
};

Between Place(float at, int64_t cells) {
  const float last = static_cast<float>(cells - 1);
  const float wanted = at * static_cast<float>(cells) - 0.5f;
  // What is no number counts as 0.
  const float place = wanted > 0 ? std::min(wanted, last) : 0.0f;
  Between between;
  between.low = static_cast<int64_t>(place);
  between.high = std::min(between.low + 1, cells - 1);
  between.share = place - static_cast<float>(between.low);
  return between;
}

// One level of one image at one point -> out [C].
void SampleLevel(const float* level, ImageSize size, int64_t channels, const float* point,
                 float* out) {
  const Between x = Place(point[0], size.width);
  const Between y = Place(point[1], size.height);
  const auto pixel = [&](int64_t row, int64_t column) {
    return level + (row * size.width + column) * channels;
  };
  const float* corners[] = {pixel(y.low, x.low), pixel(y.low, x.high), pixel(y.high, x.low),
                            pixel(y.high, x.high)};
  for (int64_t c = 0; c < channels; ++c) {
    const float above = corners[0][c] + (corners[1][c] - corners[0][c]) * x.share;
    const float below = corners[2][c] + (corners[3][c] - corners[2][c]) * x.share;
    out[c] = above + (below - above) * y.share;
  }
}

at::Tensor NativeFeatures(absl::Span<const PyramidMemory> images,
                          absl::Span<const int> image_of_point, const at::Tensor& points) {
  const int64_t channels = images[0].memory.size(1);
  const int64_t width = channels * static_cast<int64_t>(images[0].levels.size());
  const at::Tensor places = points.contiguous();
  at::Tensor out = at::empty({points.size(0), width}, images[0].memory.options());
  float* target = out.mutable_data_ptr<float>();
  for (int64_t p = 0; p < points.size(0); ++p) {
    const PyramidMemory& image = images[static_cast<size_t>(image_of_point[p])];
    const float* level = image.memory.const_data_ptr<float>();
    for (const ImageSize& size : image.levels) {
      SampleLevel(level, size, channels, places.const_data_ptr<float>() + 2 * p, target);
      level += size.area() * channels;
      target += channels;
    }
  }
  return out;
}

// Place for all points of an axis: [P] int64 twice, [P] shares.
struct Places {
  at::Tensor low;
  at::Tensor high;
  at::Tensor share;
};

Places PlaceAll(const at::Tensor& at, int64_t cells) {
  const at::Tensor place = (at * cells - 0.5).clamp(0, static_cast<double>(cells - 1));
  Places places;
  places.low = place.floor().to(at::kLong);
  places.high = (places.low + 1).clamp_max(cells - 1);
  places.share = (place - places.low).unsqueeze(1);
  return places;
}

// Not at::lerp: in mixed precision the features and the shares differ in type.
at::Tensor Blend(const at::Tensor& low, const at::Tensor& high, const at::Tensor& share) {
  return low + (high - low) * share;
}

// [P, L * C] of points that look at one image.
at::Tensor ImageFeatures(const PyramidMemory& image, const at::Tensor& points) {
  std::vector<at::Tensor> parts;
  int64_t start = 0;
  for (const ImageSize& size : image.levels) {
    const Places x = PlaceAll(points.select(1, 0), size.width);
    const Places y = PlaceAll(points.select(1, 1), size.height);
    // Under autocast the memory may be of a narrower type than the places.
    const auto pixel = [&](const at::Tensor& row, const at::Tensor& column) {
      return image.memory.index_select(0, row * size.width + column + start)
          .to(points.scalar_type());
    };
    const at::Tensor above = Blend(pixel(y.low, x.low), pixel(y.low, x.high), x.share);
    const at::Tensor below = Blend(pixel(y.high, x.low), pixel(y.high, x.high), x.share);
    parts.push_back(Blend(above, below, y.share));
    start += size.area();
  }
  return at::cat(parts, 1);
}

}  // namespace

at::Tensor PointFeatures(absl::Span<const PyramidMemory> images,
                         absl::Span<const int> image_of_point, const at::Tensor& points,
                         Path path) {
  TORCH_CHECK(!images.empty() && points.dim() == 2 && points.size(1) == 2 &&
                  points.size(0) == static_cast<int64_t>(image_of_point.size()),
              "points and images do not fit");
  if (UseCpuKernel(path, images[0].memory)) return NativeFeatures(images, image_of_point, points);
  if (images.size() == 1) return ImageFeatures(images[0], points);
  std::vector<at::Tensor> parts;
  std::vector<int64_t> order;
  for (size_t image = 0; image < images.size(); ++image) {
    std::vector<int64_t> rows;
    for (size_t p = 0; p < image_of_point.size(); ++p) {
      if (image_of_point[p] == static_cast<int>(image)) rows.push_back(static_cast<int64_t>(p));
    }
    if (rows.empty()) continue;
    const at::Tensor index = at::tensor(rows).to(points.device());
    parts.push_back(ImageFeatures(images[image], points.index_select(0, index)));
    order.insert(order.end(), rows.begin(), rows.end());
  }
  // From image by image to the order of the points.
  const at::Tensor places = at::tensor(order).argsort().to(points.device());
  return at::cat(parts).index_select(0, places);
}

}  // namespace semsam::ops
