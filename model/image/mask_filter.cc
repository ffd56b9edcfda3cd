#include "model/image/mask_filter.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace semsam {
namespace {

template <typename Less>
std::vector<size_t> StableOrder(size_t count, Less less) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), less);
  return order;
}

std::vector<size_t> ByDescendingScore(std::span<const float> scores) {
  // A NaN sorts last; without that rule it would break the order of the others.
  const auto key = [&](size_t i) { return std::isnan(scores[i]) ? -HUGE_VALF : scores[i]; };
  return StableOrder(scores.size(), [&](size_t a, size_t b) { return key(a) > key(b); });
}

float BoxArea(const CornerBox& box) { return (box.x1 - box.x0) * (box.y1 - box.y0); }

float BoxIou(const CornerBox& a, const CornerBox& b) {
  const float width = std::max(0.0f, std::min(a.x1, b.x1) - std::max(a.x0, b.x0));
  const float height = std::max(0.0f, std::min(a.y1, b.y1) - std::max(a.y0, b.y0));
  const float shared = width * height;
  return shared / (BoxArea(a) + BoxArea(b) - shared);
}

bool OverlapsAny(const RunLengths& mask, std::span<const RunLengths> masks,
                 std::span<const size_t> kept, double iou_threshold) {
  return std::any_of(kept.begin(), kept.end(),
                     [&](size_t other) { return MaskIou(mask, masks[other]) > iou_threshold; });
}

}  // namespace

CornerBox ToCornerBox(const PixelBox& box) {
  if (box.width == 0) return {};
  return {.x0 = static_cast<float>(box.x),
          .y0 = static_cast<float>(box.y),
          .x1 = static_cast<float>(box.x + box.width - 1),
          .y1 = static_cast<float>(box.y + box.height - 1)};
}

std::vector<size_t> BoxNms(std::span<const CornerBox> boxes, std::span<const float> scores,
                           double iou_threshold) {
  std::vector<size_t> kept;
  for (const size_t candidate : ByDescendingScore(scores)) {
    // 0 / 0 is NaN and exceeds nothing.
    const bool suppressed = std::any_of(kept.begin(), kept.end(), [&](size_t other) {
      return BoxIou(boxes[other], boxes[candidate]) > iou_threshold;
    });
    if (!suppressed) kept.push_back(candidate);
  }
  return kept;
}

std::vector<size_t> RemoveDuplicates(std::span<const RunLengths> masks,
                                     std::span<const float> predicted_ious, double iou_threshold) {
  std::vector<size_t> kept;
  for (const size_t candidate : ByDescendingScore(predicted_ious)) {
    if (!OverlapsAny(masks[candidate], masks, kept, iou_threshold)) kept.push_back(candidate);
  }
  return kept;
}

std::vector<size_t> SelectPredictorMasks(std::span<const RunLengths> masks,
                                         std::span<const float> predicted_ious,
                                         double min_predicted_iou, double iou_threshold) {
  const std::vector<size_t> order = ByDescendingScore(predicted_ious);
  std::vector<size_t> kept;
  for (const size_t candidate : order) {
    const double rounded = std::nearbyint(double{predicted_ious[candidate]} * 100) / 100;
    if (rounded < min_predicted_iou) continue;
    if (!OverlapsAny(masks[candidate], masks, kept, iou_threshold)) kept.push_back(candidate);
  }
  if (kept.empty() && !order.empty()) kept.push_back(order.back());
  std::stable_sort(kept.begin(), kept.end(),
                   [&](size_t a, size_t b) { return MaskArea(masks[a]) < MaskArea(masks[b]); });
  return kept;
}

std::vector<size_t> OrderByLevel(std::span<const int> levels) {
  return StableOrder(levels.size(), [&](size_t a, size_t b) { return levels[a] < levels[b]; });
}

}  // namespace semsam
