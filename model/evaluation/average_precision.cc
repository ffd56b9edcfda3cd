#include "model/evaluation/average_precision.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

constexpr int kRecallPoints = 101;
constexpr int64_t kAnyCategory = -1;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// What COCO adds to a count so that none divides by 0.
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// What truths and detections have in common.
template <typename T>
absl::Status CheckShape(ApKind kind, const T& object, std::optional<ImageSize>& picture) {
  if (object.area && !(*object.area >= 0 && std::isfinite(*object.area))) {
    return InvalidField("area", absl::StrCat("must be 0 or more, not ", *object.area));
  }
  if (kind == ApKind::kBox) {
    const ApBox& box = object.box;
    if (!std::isfinite(box.x) || !std::isfinite(box.y) ||
        !(box.width >= 0 && std::isfinite(box.width)) ||
        !(box.height >= 0 && std::isfinite(box.height))) {
      return InvalidField("box", absl::StrCat("cannot be (", box.x, ", ", box.y, "), ", box.width,
                                              " x ", box.height));
    }
    return absl::OkStatus();
  }
  const ImageSize size = object.mask.size;
  int64_t pixels = 0;
  for (const uint32_t count : object.mask.counts) pixels += count;
  if (size.height <= 0 || size.width <= 0 || pixels != size.area()) {
    return InvalidField(
        "mask", absl::StrCat("runs of ", pixels, " px for ", size.width, " x ", size.height));
  }
  if (picture && *picture != size) {
    return InvalidField(
        "mask", absl::StrCat("is ", size.width, " x ", size.height, ", another of the picture is ",
                             picture->width, " x ", picture->height));
  }
  picture = size;
  return absl::OkStatus();
}

absl::Status CheckPicture(ApKind kind, std::span<const ApTruth> truths,
                          std::span<const ApDetection> detections) {
  std::optional<ImageSize> picture;
  for (size_t i = 0; i < truths.size(); ++i) {
    const absl::Status status = CheckShape(kind, truths[i], picture);
    if (!status.ok()) return Annotate(status, absl::StrCat("truth ", i));
  }
  for (size_t i = 0; i < detections.size(); ++i) {
    absl::Status status = CheckShape(kind, detections[i], picture);
    if (status.ok() && !std::isfinite(detections[i].score)) {
      status = InvalidField("score", absl::StrCat("must be finite, not ", detections[i].score));
    }
    if (!status.ok()) return Annotate(status, absl::StrCat("detection ", i));
  }
  return absl::OkStatus();
}

// Objects by category, in the order given; with `any`, all under one, lower ids first.
template <typename T>
std::map<int64_t, std::vector<const T*>> ByCategory(std::span<const T> objects, bool any) {
  std::map<int64_t, std::vector<const T*>> groups;
  for (const T& object : objects) groups[object.category].push_back(&object);
  if (!any) return groups;
  std::vector<const T*> all;
  for (const auto& [id, group] : groups) all.insert(all.end(), group.begin(), group.end());
  if (all.empty()) return {};
  return {{kAnyCategory, std::move(all)}};
}

struct Curve {
  double precision = 0;  // mean over the points of recall
  double recall = 0;
};

// `hits` says of each detection that counts, best first, whether it is right.
Curve MeasureCurve(const std::vector<bool>& hits, int64_t truths) {
  std::vector<double> precision(hits.size()), recall(hits.size());
  double right = 0;
  for (size_t i = 0; i < hits.size(); ++i) {
    right += hits[i];
    precision[i] = right / (static_cast<double>(i + 1) + kEpsilon);
    recall[i] = right / static_cast<double>(truths);
  }
  for (size_t i = hits.size(); i-- > 1;) {
    precision[i - 1] = std::max(precision[i - 1], precision[i]);
  }
  Curve curve;
  if (!hits.empty()) curve.recall = recall.back();
  constexpr double kStep = 1.0 / (kRecallPoints - 1);
  size_t at = 0;
  double sum = 0;
  for (int point = 0; point < kRecallPoints; ++point) {
    const double wanted = point == kRecallPoints - 1 ? 1.0 : point * kStep;
    while (at < hits.size() && recall[at] < wanted) ++at;
    if (at == hits.size()) break;  // never reached: 0 from here on
    sum += precision[at];
  }
  curve.precision = sum / kRecallPoints;
  return curve;
}

// Mean of `values` without the NaNs.
double MeanOfKnown(std::span<const double> values) {
  double sum = 0;
  int64_t count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? kNan : sum / static_cast<double>(count);
}

double MeanOverThresholds(const ApGrid<double>& grid, int area, int limit) {
  std::array<double, kApThresholds> values;
  for (int t = 0; t < kApThresholds; ++t) values[t] = grid[t][area][limit];
  return MeanOfKnown(values);
}

enum Area { kAll, kSmall, kMedium, kLarge };

// Mean of what `measure` makes of each category, with the number of truths behind it.
template <typename Measure>
Figure MeanOverCategories(const std::vector<CategoryAp>& categories, Area area, Measure&& measure) {
  std::vector<double> values;
  Figure figure;
  for (const CategoryAp& category : categories) {
    values.push_back(measure(category));
    figure.count += category.truths[area];
  }
  figure.value = MeanOfKnown(values);
  return figure;
}

}  // namespace

double CategoryAp::ap() const { return MeanOverThresholds(precision, kAll, kApLimits - 1); }
double CategoryAp::ap50() const { return precision[0][kAll][kApLimits - 1]; }
double CategoryAp::ap75() const { return precision[kApThresholds / 2][kAll][kApLimits - 1]; }

absl::Status ApOptions::Validate() const {
  int before = 0;
  for (const int limit : limits) {
    if (limit <= before) {
      return InvalidField("limits", "must be ascending numbers of detections above 0");
    }
    before = limit;
  }
  return absl::OkStatus();
}

ApAccumulator::ApAccumulator(ApOptions options) : options_(options) {}

absl::Status ApAccumulator::Add(int64_t image_id, std::span<const ApTruth> truths,
                                std::span<const ApDetection> detections) {
  if (pictures_.contains(image_id)) {
    return absl::AlreadyExistsError(absl::StrCat("picture ", image_id, " was counted already"));
  }
  if (const absl::Status status = CheckPicture(options_.kind, truths, detections); !status.ok()) {
    return Annotate(status, absl::StrCat("picture ", image_id));
  }
  const auto truth_groups = ByCategory(truths, options_.class_agnostic);
  const auto detection_groups = ByCategory(detections, options_.class_agnostic);
  std::set<int64_t> categories;
  for (const auto& [id, group] : truth_groups) categories.insert(id);
  for (const auto& [id, group] : detection_groups) categories.insert(id);
  for (const int64_t id : categories) {
    const auto own_truths = truth_groups.find(id);
    const auto own_detections = detection_groups.find(id);
    std::span<const ApTruth* const> truth_list;
    std::span<const ApDetection* const> detection_list;
    if (own_truths != truth_groups.end()) truth_list = own_truths->second;
    if (own_detections != detection_groups.end()) detection_list = own_detections->second;
    MatchPicture(options_, image_id, truth_list, detection_list, categories_[id]);
  }
  pictures_.insert(image_id);
  detections_ += static_cast<int64_t>(detections.size());
  return absl::OkStatus();
}

absl::Status ApAccumulator::Merge(const ApAccumulator& other) {
  if (options_.kind != other.options_.kind || options_.limits != other.options_.limits ||
      options_.class_agnostic != other.options_.class_agnostic) {
    return absl::InvalidArgumentError("the options of the two differ");
  }
  for (const int64_t picture : other.pictures_) {
    if (pictures_.contains(picture)) {
      return absl::AlreadyExistsError(absl::StrCat("both have counted picture ", picture));
    }
  }
  pictures_.insert(other.pictures_.begin(), other.pictures_.end());
  for (const auto& [id, theirs] : other.categories_) {
    Category& ours = categories_[id];
    ours.outcomes.insert(ours.outcomes.end(), theirs.outcomes.begin(), theirs.outcomes.end());
    for (int area = 0; area < kApAreas; ++area) ours.truths[area] += theirs.truths[area];
  }
  detections_ += other.detections_;
  return absl::OkStatus();
}

CategoryAp ApAccumulator::Summarize(int64_t id, const Category& category) const {
  CategoryAp summary{.category = id,
                     .truths = category.truths,
                     .detections = static_cast<int64_t>(category.outcomes.size())};
  std::vector<const Outcome*> ranked;
  ranked.reserve(category.outcomes.size());
  for (const Outcome& outcome : category.outcomes) ranked.push_back(&outcome);
  std::sort(ranked.begin(), ranked.end(), [](const Outcome* a, const Outcome* b) {
    if (a->score != b->score) return a->score > b->score;
    if (a->image_id != b->image_id) return a->image_id < b->image_id;
    return a->rank < b->rank;
  });
  std::vector<bool> hits;
  for (int t = 0; t < kApThresholds; ++t) {
    for (int area = 0; area < kApAreas; ++area) {
      for (int limit = 0; limit < kApLimits; ++limit) {
        Curve curve{.precision = kNan, .recall = kNan};
        if (category.truths[area] > 0) {
          hits.clear();
          for (const Outcome* outcome : ranked) {
            if (outcome->rank >= options_.limits[limit] || outcome->ignored[area] >> t & 1) {
              continue;
            }
            hits.push_back(outcome->matched[area] >> t & 1);
          }
          curve = MeasureCurve(hits, category.truths[area]);
        }
        summary.precision[t][area][limit] = curve.precision;
        summary.recall[t][area][limit] = curve.recall;
      }
    }
  }
  return summary;
}

ApResult ApAccumulator::Result() const {
  ApResult result;
  result.pictures = static_cast<int64_t>(pictures_.size());
  result.detections = detections_;
  for (const auto& [id, category] : categories_) {
    result.categories.push_back(Summarize(id, category));
  }
  const auto precision = [&](Area area) {
    return MeanOverCategories(result.categories, area, [area](const CategoryAp& category) {
      return MeanOverThresholds(category.precision, area, kApLimits - 1);
    });
  };
  const auto recall = [&](Area area, int limit) {
    return MeanOverCategories(result.categories, area, [=](const CategoryAp& category) {
      return MeanOverThresholds(category.recall, area, limit);
    });
  };
  result.ap = precision(kAll);
  result.ap_small = precision(kSmall);
  result.ap_medium = precision(kMedium);
  result.ap_large = precision(kLarge);
  result.ap50 = MeanOverCategories(result.categories, kAll, std::mem_fn(&CategoryAp::ap50));
  result.ap75 = MeanOverCategories(result.categories, kAll, std::mem_fn(&CategoryAp::ap75));
  for (int limit = 0; limit < kApLimits; ++limit) result.ar[limit] = recall(kAll, limit);
  result.ar_small = recall(kSmall, kApLimits - 1);
  result.ar_medium = recall(kMedium, kApLimits - 1);
  result.ar_large = recall(kLarge, kApLimits - 1);
  return result;
}

}  // namespace semsam
