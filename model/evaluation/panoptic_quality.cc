#include "model/evaluation/panoptic_quality.h"

#include <limits>
#include <set>
#include <string_view>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

using SegmentMap = std::map<uint32_t, const PqSegment*>;
// Pixels by true and predicted segment, and by segment.
using PairAreas = std::map<std::pair<uint32_t, uint32_t>, int64_t>;
using Areas = std::map<uint32_t, int64_t>;

absl::StatusOr<SegmentMap> IndexSegments(const PanopticView& view) {
  if (view.size.height <= 0 || view.size.width <= 0 || view.ids.size() != view.size.area()) {
    return absl::InvalidArgumentError(absl::StrCat("has ", view.ids.size(), " px for ",
                                                   view.size.width, " x ", view.size.height));
  }
  SegmentMap segments;
  for (const PqSegment& segment : view.segments) {
    if (segment.id == kVoidSegment) {
      return absl::InvalidArgumentError("lists segment 0, which means void");
    }
    if (!segments.emplace(segment.id, &segment).second) {
      return absl::InvalidArgumentError(absl::StrCat("lists segment ", segment.id, " twice"));
    }
  }
  return segments;
}

PairAreas CountPairs(std::span<const uint32_t> truth, std::span<const uint32_t> prediction) {
  // Segments are runs of pixels: one look-up a run, not a pixel.
  std::unordered_map<uint64_t, int64_t> counts;
  for (size_t begin = 0; begin < truth.size();) {
    size_t end = begin + 1;
    while (end < truth.size() && truth[end] == truth[begin] &&
           prediction[end] == prediction[begin]) {
      ++end;
    }
    counts[uint64_t{truth[begin]} << 32 | prediction[begin]] += static_cast<int64_t>(end - begin);
    begin = end;
  }
  PairAreas pairs;
  for (const auto& [key, area] : counts) {
    pairs[{static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(key)}] = area;
  }
  return pairs;
}

int64_t Find(const PairAreas& pairs, uint32_t truth, uint32_t prediction) {
  const auto it = pairs.find({truth, prediction});
  return it == pairs.end() ? 0 : it->second;
}

absl::Status CheckPredictedIds(const SegmentMap& listed, const Areas& drawn) {
  for (const auto& [id, area] : drawn) {
    if (id != kVoidSegment && !listed.contains(id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("prediction: segment ", id, " is in the map and not in the list"));
    }
  }
  for (const auto& [id, segment] : listed) {
    if (!drawn.contains(id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("prediction: segment ", id, " is in the list and not in the map"));
    }
  }
  return absl::OkStatus();
}

struct Match {
  uint32_t truth = 0;
  uint32_t prediction = 0;
  double iou = 0;
};

absl::StatusOr<std::vector<Match>> FindMatches(const PairAreas& pairs, const SegmentMap& truths,
                                               const SegmentMap& predictions,
                                               const Areas& truth_areas,
                                               const Areas& predicted_areas) {
  std::vector<Match> matches;
  for (const auto& [pair, shared] : pairs) {
    const auto truth = truths.find(pair.first);
    const auto prediction = predictions.find(pair.second);
    if (truth == truths.end() || prediction == predictions.end() || truth->second->crowd ||
        truth->second->category != prediction->second->category) {
      continue;
    }
    const int64_t area = truth->second->area.value_or(truth_areas.at(pair.first));
    const int64_t either =
        predicted_areas.at(pair.second) + area - shared - Find(pairs, kVoidSegment, pair.second);
    if (area < shared || either <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("truth: segment ", pair.first, " states ",
                                                     area, " px and holds ", shared, " at least"));
    }
    const double iou = static_cast<double>(shared) / static_cast<double>(either);
    if (iou > 0.5) matches.push_back({pair.first, pair.second, iou});
  }
  return matches;
}

double Ratio(double part, double whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : part / whole;
}

struct MeanOf {
  ExactMean pq, sq, rq;

  void Add(const PanopticScores& scores) {
    if (scores.pq.count == 0) return;
    pq.Add(scores.pq.value);
    sq.Add(scores.sq.value);
    rq.Add(scores.rq.value);
  }
  PanopticMeans means() const { return {.pq = pq.figure(), .sq = sq.figure(), .rq = rq.figure()}; }
};

}  // namespace

PanopticAccumulator::PanopticAccumulator(std::span<const PanopticClass> classes) {
  for (const PanopticClass& known : classes) classes_[known.id].is_thing = known.is_thing;
}

absl::Status PanopticAccumulator::Add(const PanopticView& truth, const PanopticView& prediction) {
  absl::StatusOr<SegmentMap> truths = IndexSegments(truth);
  if (!truths.ok()) return Annotate(truths.status(), "truth");
  absl::StatusOr<SegmentMap> predictions = IndexSegments(prediction);
  if (!predictions.ok()) return Annotate(predictions.status(), "prediction");
  if (truth.size != prediction.size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the truth is ", truth.size.width, " x ", truth.size.height,
                     ", the prediction ", prediction.size.width, " x ", prediction.size.height));
  }
  for (const SegmentMap* segments : {&*truths, &*predictions}) {
    for (const auto& [id, segment] : *segments) {
      if (!classes_.contains(segment->category)) {
        return absl::InvalidArgumentError(
            absl::StrCat(segments == &*truths ? "truth" : "prediction", ": segment ", id,
                         " is of unknown class ", segment->category));
      }
    }
  }
  const PairAreas pairs = CountPairs(truth.ids, prediction.ids);
  Areas truth_areas, predicted_areas;
  for (const auto& [pair, area] : pairs) {
    truth_areas[pair.first] += area;
    predicted_areas[pair.second] += area;
  }
  SEMSAM_RETURN_IF_ERROR(CheckPredictedIds(*predictions, predicted_areas));
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<Match> matches,
                          FindMatches(pairs, *truths, *predictions, truth_areas, predicted_areas));

  std::set<uint32_t> found, right;
  for (const Match& match : matches) {
    classes_[truths->at(match.truth)->category].iou.Add(match.iou);
    found.insert(match.truth);
    right.insert(match.prediction);
  }
  // As published, a class has one crowd: the last that its list names.
  std::map<int64_t, uint32_t> crowds;
  for (const PqSegment& segment : truth.segments) {
    if (found.contains(segment.id)) continue;
    if (segment.crowd) {
      crowds[segment.category] = segment.id;
    } else {
      ++classes_[segment.category].false_negatives;
    }
  }
  for (const PqSegment& segment : prediction.segments) {
    if (right.contains(segment.id)) continue;
    int64_t excused = Find(pairs, kVoidSegment, segment.id);
    const auto crowd = crowds.find(segment.category);
    if (crowd != crowds.end()) excused += Find(pairs, crowd->second, segment.id);
    const int64_t area = predicted_areas.at(segment.id);
    if (2 * excused > area) continue;
    ++classes_[segment.category].false_positives;
  }
  ++pictures_;
  return absl::OkStatus();
}

absl::Status PanopticAccumulator::Merge(const PanopticAccumulator& other) {
  bool equal = classes_.size() == other.classes_.size();
  for (const auto& [id, tally] : other.classes_) {
    const auto it = classes_.find(id);
    equal = equal && it != classes_.end() && it->second.is_thing == tally.is_thing;
  }
  if (!equal) return absl::InvalidArgumentError("the classes of the two differ");
  for (const auto& [id, tally] : other.classes_) {
    Tally& ours = classes_[id];
    ours.iou.Merge(tally.iou);
    ours.false_positives += tally.false_positives;
    ours.false_negatives += tally.false_negatives;
  }
  pictures_ += other.pictures_;
  return absl::OkStatus();
}

PanopticResult PanopticAccumulator::Result() const {
  PanopticResult result{.pictures = pictures_};
  MeanOf all, things, stuff;
  for (const auto& [id, tally] : classes_) {
    PanopticScores scores{.category = id,
                          .is_thing = tally.is_thing,
                          .true_positives = tally.iou.count(),
                          .false_positives = tally.false_positives,
                          .false_negatives = tally.false_negatives};
    const double right = static_cast<double>(scores.true_positives);
    const double errors = static_cast<double>(scores.false_positives + scores.false_negatives);
    const int64_t segments =
        scores.true_positives + scores.false_positives + scores.false_negatives;
    const double weight = right + 0.5 * errors;
    scores.pq = {.value = Ratio(tally.iou.sum(), weight), .count = segments};
    scores.rq = {.value = Ratio(right, weight), .count = segments};
    // Of a class that is never found the quality counts as 0 in the mean.
    scores.sq = {.value = right == 0 && segments > 0 ? 0 : Ratio(tally.iou.sum(), right),
                 .count = segments};
    all.Add(scores);
    (scores.is_thing ? things : stuff).Add(scores);
    result.classes.push_back(scores);
  }
  result.all = all.means();
  result.things = things.means();
  result.stuff = stuff.means();
  return result;
}

}  // namespace semsam
