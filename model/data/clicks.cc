#include "model/data/clicks.h"

#include <algorithm>
#include <numeric>

#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {

std::optional<ClickPixel> UniformInteriorPixel(const RunLengths& mask, Random& random) {
  const int64_t area = MaskArea(mask);
  if (area == 0) return std::nullopt;
  int64_t left = static_cast<int64_t>(random.Below(static_cast<uint64_t>(area)));
  int64_t position = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const int64_t run = mask.counts[i];
    if (i % 2 == 1 && left < run) {
      position += left;
      break;
    }
    if (i % 2 == 1) left -= run;
    position += run;
  }
  return ClickPixel{.x = static_cast<int>(position / mask.size.height),
                    .y = static_cast<int>(position % mask.size.height)};
}

std::vector<int> MasksAt(absl::Span<const RunLengths* const> masks, ClickPixel click) {
  std::vector<int> indices;
  for (size_t i = 0; i < masks.size(); ++i) {
    if (Contains(*masks[i], click.x, click.y)) indices.push_back(static_cast<int>(i));
  }
  return indices;
}

std::vector<int> MasksAt(absl::Span<const RunLengths* const> masks, ClickPixel click, int limit,
                         Random& random) {
  std::vector<int> indices = MasksAt(masks, click);
  if (static_cast<int>(indices.size()) <= limit) return indices;
  random.Shuffle(std::span<int>(indices));
  indices.resize(limit);
  return indices;
}

CenterBox RelativeBox(double x0, double y0, double x1, double y1, ImageSize size) {
  return {.cx = static_cast<float>((x0 + x1) / 2 / size.width),
          .cy = static_cast<float>((y0 + y1) / 2 / size.height),
          .w = static_cast<float>((x1 - x0) / size.width),
          .h = static_cast<float>((y1 - y0) / size.height)};
}

CenterBox ClickBox(ClickPixel click, ImageSize size, double radius_px) {
  return RelativeBox(click.x - radius_px, click.y - radius_px, click.x + radius_px,
                     click.y + radius_px, size);
}

CenterBox NoisyBox(CenterBox box, bool is_point, const BoxNoise& noise, Random& random) {
  const double scale = noise.scale * (is_point ? noise.point_scale : 1);
  const auto moved = [&](float value, double reach) {
    const double to = value + random.Uniform(-1, 1) * reach * scale;
    return static_cast<float>(std::clamp(to, 0.0, 1.0));
  };
  const float half_w = box.w / 2, half_h = box.h / 2;
  // One by one: the order of the draws is part of the result.
  const float cx = moved(box.cx, half_w);
  const float cy = moved(box.cy, half_h);
  const float w = moved(box.w, box.w);
  const float h = moved(box.h, box.h);
  return {.cx = cx, .cy = cy, .w = w, .h = h};
}

std::vector<int> RepeatedPermutation(int size, int count, Random& random) {
  std::vector<int> indices;
  if (size <= 0) return indices;
  std::vector<int> order(size);
  while (static_cast<int>(indices.size()) < count) {
    std::iota(order.begin(), order.end(), 0);
    random.Shuffle(std::span<int>(order));
    const int take = std::min(size, count - static_cast<int>(indices.size()));
    indices.insert(indices.end(), order.begin(), order.begin() + take);
  }
  return indices;
}

}  // namespace semsam
