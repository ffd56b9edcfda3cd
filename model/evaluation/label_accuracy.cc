#include "model/evaluation/label_accuracy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

Figure Share(int64_t part, int64_t whole) {
  if (whole == 0) return {};
  return {.value = static_cast<double>(part) / static_cast<double>(whole), .count = whole};
}

}  // namespace

absl::StatusOr<std::vector<int>> RankLabels(std::span<const float> scores, int count) {
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) {
      return absl::InvalidArgumentError(absl::StrCat("the score of label ", i, " is NaN"));
    }
  }
  std::vector<int> labels(scores.size());
  std::iota(labels.begin(), labels.end(), 0);
  const size_t kept = std::min(labels.size(), static_cast<size_t>(std::max(count, 0)));
  std::partial_sort(
      labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(kept), labels.end(),
      [&](int a, int b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  labels.resize(kept);
  return labels;
}

absl::Status LabelAccumulator::Add(LabelHead head, std::span<const int> ranked,
                                   std::span<const int> truths) {
  if (truths.empty()) return absl::InvalidArgumentError("no label is right");
  ranked = ranked.first(std::min<size_t>(ranked.size(), kTopLabels));
  for (size_t i = 0; i < ranked.size(); ++i) {
    if (std::count(ranked.begin(), ranked.end(), ranked[i]) > 1) {
      return absl::InvalidArgumentError(absl::StrCat("label ", ranked[i], " is guessed twice"));
    }
  }
  const auto right = [&](int label) {
    return std::find(truths.begin(), truths.end(), label) != truths.end();
  };
  Tally& tally = heads_[static_cast<size_t>(head)];
  ++tally.seen;
  tally.first += !ranked.empty() && right(ranked.front());
  tally.among_five += std::any_of(ranked.begin(), ranked.end(), right);
  return absl::OkStatus();
}

void LabelAccumulator::Merge(const LabelAccumulator& other) {
  for (size_t i = 0; i < heads_.size(); ++i) {
    heads_[i].seen += other.heads_[i].seen;
    heads_[i].first += other.heads_[i].first;
    heads_[i].among_five += other.heads_[i].among_five;
  }
}

LabelResult LabelAccumulator::Result(LabelHead head) const {
  const Tally& tally = heads_[static_cast<size_t>(head)];
  return {.top1 = Share(tally.first, tally.seen), .top5 = Share(tally.among_five, tally.seen)};
}

}  // namespace semsam
