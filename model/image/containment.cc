#include "model/image/containment.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "model/base/errors.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// A mask as its changes: pixels [changes[2i], changes[2i + 1]) are set, column-major.
struct Shape {
  std::vector<uint32_t> changes;
  int64_t area = 0;
  PixelBox box;
};

Shape MakeShape(const RunLengths& runs) {
  Shape shape{.area = MaskArea(runs), .box = BoundingBox(runs)};
  shape.changes.reserve(runs.counts.size());
  uint32_t position = 0;
  for (size_t i = 0; i < runs.counts.size(); ++i) {
    const uint32_t begin = position;
    position += runs.counts[i];
    if (i % 2 == 0 || position == begin) continue;
    shape.changes.push_back(begin);
    shape.changes.push_back(position);
  }
  return shape;
}

int64_t SharedBoxArea(const PixelBox& a, const PixelBox& b) {
  const int width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const int height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  return width > 0 && height > 0 ? int64_t{width} * height : 0;
}

// True if `outer` holds at least `needed` pixels of `inner`, which has some.
bool Holds(const Shape& outer, const Shape& inner, int64_t needed) {
  if (SharedBoxArea(outer.box, inner.box) < needed) return false;
  const std::vector<uint32_t>& a = inner.changes;
  const std::vector<uint32_t>& b = outer.changes;
  // The first run of `outer` that ends after `inner` begins.
  size_t j = static_cast<size_t>(std::upper_bound(b.begin(), b.end(), a[0]) - b.begin()) / 2 * 2;
  int64_t shared = 0;
  int64_t possible = inner.area;  // shared, if all that comes is
  for (size_t i = 0; i < a.size(); i += 2) {
    const int64_t before = shared;
    while (j < b.size() && b[j + 1] <= a[i]) j += 2;
    for (size_t k = j; k < b.size() && b[k] < a[i + 1]; k += 2) {
      shared += int64_t{std::min(a[i + 1], b[k + 1])} - std::max(a[i], b[k]);
      j = k;
    }
    possible -= int64_t{a[i + 1]} - a[i] - (shared - before);
    if (shared >= needed) return true;
    if (possible < needed) return false;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::vector<int>> FindParents(std::span<const RunLengths* const> masks, double share,
                                             const std::function<bool()>& cancelled) {
  if (!(share > 0 && share <= 1)) return InvalidField("share", "must be above 0 and at most 1");
  std::vector<Shape> shapes;
  shapes.reserve(masks.size());
  for (const RunLengths* mask : masks) {
    if (!(mask->size == masks[0]->size) ||
        mask->size.area() > std::numeric_limits<uint32_t>::max()) {
      return absl::InternalError("containment: masks of different or immense sizes");
    }
    shapes.push_back(MakeShape(*mask));
  }
  std::vector<size_t> by_area(masks.size());
  std::iota(by_area.begin(), by_area.end(), size_t{0});
  std::stable_sort(by_area.begin(), by_area.end(),
                   [&](size_t a, size_t b) { return shapes[a].area < shapes[b].area; });

  std::vector<int> parents(masks.size(), -1);
  for (size_t i = 0; i < by_area.size(); ++i) {
    if (cancelled != nullptr && cancelled()) return absl::CancelledError("cancelled");
    const Shape& inner = shapes[by_area[i]];
    if (inner.area == 0) continue;
    // Less a trifle: 0.55 * 100 is above 55.
    const double least = std::ceil(share * static_cast<double>(inner.area) - 1e-6);
    const auto needed = std::max<int64_t>(1, static_cast<int64_t>(least));
    for (size_t k = i + 1; k < by_area.size(); ++k) {
      const Shape& outer = shapes[by_area[k]];
      if (outer.area == inner.area || !Holds(outer, inner, needed)) continue;
      parents[by_area[i]] = static_cast<int>(by_area[k]);
      break;
    }
  }
  return parents;
}

}  // namespace semsam
