// Which detections of one picture and category match which truths.
#include <algorithm>
#include <numeric>

#include "model/evaluation/average_precision.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// Largest area that COCO's ranges know, and their bounds; both ends count.
constexpr double kMaxArea = 1e10;
constexpr std::array<std::array<double, 2>, kApAreas> kAreaRanges = {
    {{0, kMaxArea}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, kMaxArea}}};

// Thresholds of 1 are met by an IoU that only rounding keeps below.
constexpr double kHighestThreshold = 1 - 1e-10;

bool OutsideRange(double area, int range) {
  return area < kAreaRanges[range][0] || area > kAreaRanges[range][1];
}

double BoxOverlap(const ApBox& detection, const ApBox& truth, bool crowd) {
  const double width = std::min(truth.x + truth.width, detection.x + detection.width) -
                       std::max(truth.x, detection.x);
  const double height = std::min(truth.y + truth.height, detection.y + detection.height) -
                        std::max(truth.y, detection.y);
  if (width <= 0 || height <= 0) return 0;
  const double shared = width * height;
  const double detection_area = detection.width * detection.height;
  return shared / (crowd ? detection_area : detection_area + truth.width * truth.height - shared);
}

double MaskOverlap(const RunLengths& detection, const RunLengths& truth, bool crowd) {
  const int64_t shared = SharedArea(detection, truth);
  if (shared == 0) return 0;
  const int64_t area = MaskArea(detection);
  return static_cast<double>(shared) /
         static_cast<double>(crowd ? area : area + MaskArea(truth) - shared);
}

double AreaOf(ApKind kind, const std::optional<double>& stated, const RunLengths& mask,
              const ApBox& box) {
  if (stated) return *stated;
  return kind == ApKind::kMask ? static_cast<double>(MaskArea(mask)) : box.width * box.height;
}

// Overlaps [detections, truths], row-major.
std::vector<double> Overlaps(ApKind kind, std::span<const ApDetection* const> detections,
                             std::span<const ApTruth* const> truths) {
  std::vector<double> overlaps;
  overlaps.reserve(detections.size() * truths.size());
  for (const ApDetection* detection : detections) {
    for (const ApTruth* truth : truths) {
      overlaps.push_back(kind == ApKind::kMask
                             ? MaskOverlap(detection->mask, truth->mask, truth->crowd)
                             : BoxOverlap(detection->box, truth->box, truth->crowd));
    }
  }
  return overlaps;
}

// The truth that a detection with these overlaps takes, or -1. `order` lists truths
// that count before those that do not; of equal overlaps the later one wins.
int BestTruth(std::span<const double> overlaps, double threshold, std::span<const int> order,
              std::span<const ApTruth* const> truths, const std::vector<bool>& ignored,
              const std::vector<bool>& taken) {
  double best = std::min(threshold, kHighestThreshold);
  int found = -1;
  for (const int truth : order) {
    if (taken[truth] && !truths[truth]->crowd) continue;
    // A truth that counts is never given up for one that does not.
    if (found >= 0 && !ignored[found] && ignored[truth]) break;
    if (overlaps[truth] < best) continue;
    best = overlaps[truth];
    found = truth;
  }
  return found;
}

}  // namespace

std::array<double, kApThresholds> ApIouThresholds() {
  std::array<double, kApThresholds> thresholds;
  const double step = (0.95 - 0.5) / (kApThresholds - 1);
  for (int i = 0; i < kApThresholds; ++i) thresholds[i] = i * step + 0.5;
  thresholds.back() = 0.95;
  return thresholds;
}

void ApAccumulator::MatchPicture(const ApOptions& options, int64_t image_id,
                                 std::span<const ApTruth* const> truths,
                                 std::span<const ApDetection* const> detections,
                                 Category& category) {
  // Best first, and no more than can count.
  std::vector<const ApDetection*> ranked(detections.begin(), detections.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto* a, const auto* b) { return a->score > b->score; });
  if (ranked.size() > options.limits.back()) ranked.resize(options.limits.back());
  std::vector<Outcome> outcomes(ranked.size());
  std::vector<double> areas(ranked.size());
  for (size_t i = 0; i < ranked.size(); ++i) {
    outcomes[i].score = ranked[i]->score;
    outcomes[i].image_id = image_id;
    outcomes[i].rank = static_cast<int32_t>(i);
    areas[i] = AreaOf(options.kind, ranked[i]->area, ranked[i]->mask, ranked[i]->box);
  }

  static const std::array<double, kApThresholds> thresholds = ApIouThresholds();
  const std::vector<double> overlaps = Overlaps(options.kind, ranked, truths);
  std::vector<double> truth_areas;
  for (const ApTruth* truth : truths) {
    truth_areas.push_back(AreaOf(options.kind, truth->area, truth->mask, truth->box));
  }
  std::vector<bool> ignored(truths.size());
  std::vector<int> order(truths.size());
  for (int range = 0; range < kApAreas; ++range) {
    for (size_t i = 0; i < truths.size(); ++i) {
      ignored[i] = truths[i]->crowd || OutsideRange(truth_areas[i], range);
      category.truths[range] += !ignored[i];
    }
    std::iota(order.begin(), order.end(), 0);
    std::stable_partition(order.begin(), order.end(), [&](int i) { return !ignored[i]; });
    for (int t = 0; t < kApThresholds; ++t) {
      std::vector<bool> taken(truths.size());
      for (size_t i = 0; i < ranked.size(); ++i) {
        const std::span<const double> row(overlaps.data() + i * truths.size(), truths.size());
        const int truth = BestTruth(row, thresholds[t], order, truths, ignored, taken);
        bool matched = false;
        bool skip = false;
        if (truth >= 0) {
          taken[truth] = true;
          matched = !truths[truth]->id_is_zero;
          skip = ignored[truth];
        }
        // Nor is a detection of another size a false alarm.
        if (!matched && OutsideRange(areas[i], range)) skip = true;
        outcomes[i].matched[range] |= static_cast<uint16_t>(matched << t);
        outcomes[i].ignored[range] |= static_cast<uint16_t>(skip << t);
      }
    }
  }
  category.outcomes.insert(category.outcomes.end(), outcomes.begin(), outcomes.end());
}

}  // namespace semsam
