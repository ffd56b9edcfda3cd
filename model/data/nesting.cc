#include "model/data/nesting.h"

#include <cstdint>

#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

bool BoxesMeet(const BoxPx& a, const BoxPx& b) {
  return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
}

// Whether `outer` holds at least `min_share` of `inner`.
bool Holds(const Annotation& outer, const Annotation& inner, int64_t inner_area, double min_share) {
  return BoxesMeet(outer.box, inner.box) &&
         static_cast<double>(SharedArea(*outer.mask, *inner.mask)) >=
             min_share * static_cast<double>(inner_area);
}

std::vector<int64_t> Areas(const Sample& sample) {
  std::vector<int64_t> areas;
  for (const Annotation& annotation : sample.annotations) {
    areas.push_back(annotation.mask.has_value() ? MaskArea(*annotation.mask) : 0);
  }
  return areas;
}

// The smallest candidate that holds annotation `inner`; -1: none.
template <typename IsCandidate>
int SmallestHolder(const Sample& sample, const std::vector<int64_t>& areas, int inner,
                   double min_share, IsCandidate is_candidate) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(sample.annotations.size()); ++i) {
    const Annotation& outer = sample.annotations[i];
    if (i == inner || !outer.mask.has_value() || outer.crowd || !is_candidate(i)) continue;
    if (best >= 0 && areas[best] <= areas[i]) continue;
    if (Holds(outer, sample.annotations[inner], areas[inner], min_share)) best = i;
  }
  return best;
}

}  // namespace

void NestByRules(Sample& sample, const std::vector<NestingRule>& rules) {
  const std::vector<int64_t> areas = Areas(sample);
  // By the names as the source has them: renaming must not hide a later object.
  std::vector<std::string> names;
  for (const Annotation& annotation : sample.annotations) names.push_back(annotation.object_name);
  for (size_t i = 0; i < names.size(); ++i) {
    Annotation& annotation = sample.annotations[i];
    for (const NestingRule& rule : rules) {
      if (names[i] != rule.part || annotation.crowd) continue;
      annotation.part_name = rule.part;
      annotation.object_name.clear();
      if (!annotation.mask.has_value()) continue;
      annotation.parent =
          SmallestHolder(sample, areas, static_cast<int>(i), rule.min_share,
                         [&](int candidate) { return names[candidate] == rule.object; });
      if (annotation.parent < 0) continue;
      annotation.object_name = rule.object;
      break;
    }
  }
}

void NestByContainment(Sample& sample, double min_share) {
  const std::vector<int64_t> areas = Areas(sample);
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    Annotation& annotation = sample.annotations[i];
    if (annotation.parent >= 0 || !annotation.mask.has_value() || annotation.crowd) continue;
    annotation.parent = SmallestHolder(sample, areas, static_cast<int>(i), min_share,
                                       [&](int candidate) { return areas[candidate] > areas[i]; });
  }
}

}  // namespace semsam
