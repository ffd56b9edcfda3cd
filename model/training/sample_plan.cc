#include "model/training/sample_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "model/data/random.h"

namespace semsam {
namespace {

constexpr int kRounds = 6;

uint64_t Mixed(uint64_t seed, uint64_t value) { return Random::ForStream(seed, value).Next(); }

}  // namespace

uint64_t PermutedIndex(uint64_t index, uint64_t size, uint64_t seed) {
  if (size < 2) return index;
  // A Feistel network permutes 2^(2 * half) numbers; those beyond `size` are walked
  // over, which leaves a permutation of the others.
  const int half = (std::bit_width(size - 1) + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = index >> half, right = index & mask;
    for (int round = 0; round < kRounds; ++round) {
      const uint64_t next = left ^ (Mixed(seed + static_cast<uint64_t>(round), right) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= size);
  return index;
}

absl::StatusOr<SamplePlan> SamplePlan::Create(const std::vector<PlannedSource>& sources,
                                              int64_t epoch_pictures, uint64_t seed) {
  if (sources.empty()) return absl::InvalidArgumentError("there are no sources of pictures");
  double shares = 0;
  int64_t samples = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].size == 0) {
      return absl::InvalidArgumentError(absl::StrCat("data[", i, "] has no samples"));
    }
    shares += sources[i].share;
    samples += static_cast<int64_t>(sources[i].size);
  }
  SamplePlan plan;
  plan.seed_ = seed;
  plan.epoch_pictures_ = epoch_pictures > 0 ? epoch_pictures : samples;
  double share = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    share += sources[i].share;
    const bool last = i + 1 == sources.size();
    const double end = share / shares * static_cast<double>(plan.epoch_pictures_);
    plan.sizes_.push_back(sources[i].size);
    const int64_t begin = plan.ends_.empty() ? 0 : plan.ends_.back();
    plan.ends_.push_back(last ? plan.epoch_pictures_ : std::llround(end));
    if (plan.ends_.back() <= begin) {
      return absl::InvalidArgumentError(
          absl::StrCat("data[", i, "] has no picture in an epoch of ", plan.epoch_pictures_));
    }
  }
  return plan;
}

SamplePlan::Pick SamplePlan::At(int64_t position) const {
  const auto epoch = static_cast<uint64_t>(position / epoch_pictures_);
  const auto place = static_cast<uint64_t>(position % epoch_pictures_);
  const auto slot = static_cast<int64_t>(
      PermutedIndex(place, static_cast<uint64_t>(epoch_pictures_), Mixed(seed_, epoch)));
  const size_t source = std::upper_bound(ends_.begin(), ends_.end(), slot) - ends_.begin();
  const int64_t begin = source == 0 ? 0 : ends_[source - 1];
  const auto quota = static_cast<uint64_t>(ends_[source] - begin);
  const uint64_t taken = epoch * quota + static_cast<uint64_t>(slot - begin);
  const uint64_t size = sizes_[source];
  const uint64_t order = Mixed(Mixed(seed_ ^ 0x5EED, source), taken / size);
  return {.source = source, .index = PermutedIndex(taken % size, size, order)};
}

}  // namespace semsam
