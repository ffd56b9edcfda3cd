#include "model/image/polygon_mask.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

// The outline is walked on a grid this many times finer than the pixels.
constexpr double kScale = 5;

struct GridPoint {
  int x = 0;
  int y = 0;
};

absl::StatusOr<std::vector<GridPoint>> ToGrid(std::span<const double> xy) {
  if (xy.size() % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat("polygon: ", xy.size(), " numbers, not pairs"));
  }
  if (xy.size() < 6) return absl::InvalidArgumentError("polygon: fewer than three points");
  std::vector<GridPoint> points;
  points.reserve(xy.size() / 2 + 1);
  for (size_t i = 0; i < xy.size(); i += 2) {
    // Written so that NaN fails.
    if (!(std::abs(xy[i]) <= kMaxPolygonCoordinate) ||
        !(std::abs(xy[i + 1]) <= kMaxPolygonCoordinate)) {
      return absl::InvalidArgumentError(absl::StrCat("polygon: point ", i / 2, " is out of range"));
    }
    // Truncation, not rounding: left of zero the two differ, and pycocotools
    // truncates.
    points.push_back({.x = static_cast<int>(kScale * xy[i] + 0.5),
                      .y = static_cast<int>(kScale * xy[i + 1] + 0.5)});
  }
  points.push_back(points.front());
  return points;
}

// Calls visit(point) for every grid point from `from` to `to`, both included, one
// step of the longer axis at a time. The shorter one is rounded along the direction
// in which the longer one rises, whichever way the line is walked.
template <typename Visit>
void WalkLine(GridPoint from, GridPoint to, Visit&& visit) {
  const int dx = std::abs(to.x - from.x);
  const int dy = std::abs(to.y - from.y);
  const bool flat = dx >= dy;
  const bool backwards = flat ? from.x > to.x : from.y > to.y;
  const GridPoint low = backwards ? to : from;
  const GridPoint high = backwards ? from : to;
  const int steps = std::max(dx, dy);
  // A line of one point has no slope.
  const double slope =
      steps == 0 ? 0.0 : static_cast<double>(flat ? high.y - low.y : high.x - low.x) / steps;
  for (int d = 0; d <= steps; ++d) {
    const int t = backwards ? steps - d : d;
    const int across = static_cast<int>((flat ? low.y : low.x) + slope * t + 0.5);
    visit(flat ? GridPoint{low.x + t, across} : GridPoint{across, low.y + t});
  }
}

// Where the outline crosses the centre line of a pixel column, as a column-major
// position: from there downwards inside and outside change places.
class Crossings {
 public:
  explicit Crossings(ImageSize size) : size_(size) {}

  // The next point of the walk.
  void Add(GridPoint point) {
    const GridPoint previous = started_ ? previous_ : point;
    started_ = true;
    previous_ = point;
    if (previous.x == point.x) return;
    // Left of zero truncation makes the walk skip a column now and then, so this is
    // not always the smaller of the two.
    const int left = point.x < previous.x ? point.x : point.x - 1;
    const double x = (left + 0.5) / kScale - 0.5;
    if (std::floor(x) != x || x < 0 || x > size_.width - 1) return;
    const double y = (std::min(previous.y, point.y) + 0.5) / kScale - 0.5;
    positions_.push_back(static_cast<int64_t>(x) * size_.height +
                         static_cast<int64_t>(std::ceil(std::clamp<double>(y, 0, size_.height))));
  }

  RunLengths Fill() && {
    std::sort(positions_.begin(), positions_.end());
    RunLengths runs{.size = size_};
    int64_t last = 0;
    for (size_t i = 0; i < positions_.size();) {
      // Two crossings at one place undo each other.
      size_t same = i;
      while (same < positions_.size() && positions_[same] == positions_[i]) ++same;
      if ((same - i) % 2 == 1 && positions_[i] < size_.area()) {
        runs.counts.push_back(static_cast<uint32_t>(positions_[i] - last));
        last = positions_[i];
      }
      i = same;
    }
    runs.counts.push_back(static_cast<uint32_t>(size_.area() - last));
    return runs;
  }

 private:
  ImageSize size_;
  bool started_ = false;
  GridPoint previous_;
  std::vector<int64_t> positions_;
};

int64_t StepsOf(const std::vector<GridPoint>& points) {
  int64_t steps = 0;
  for (size_t i = 1; i < points.size(); ++i) {
    steps +=
        std::max(std::abs(points[i].x - points[i - 1].x), std::abs(points[i].y - points[i - 1].y)) +
        1;
  }
  return steps;
}

}  // namespace

absl::StatusOr<RunLengths> FillPolygon(std::span<const double> xy, ImageSize size) {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<GridPoint> points, ToGrid(xy));
  if (StepsOf(points) > kMaxPolygonSteps) {
    return absl::InvalidArgumentError("polygon: the outline is too long");
  }
  Crossings crossings(size);
  for (size_t i = 1; i < points.size(); ++i) {
    WalkLine(points[i - 1], points[i], [&](GridPoint point) { crossings.Add(point); });
  }
  return std::move(crossings).Fill();
}

}  // namespace semsam
