#include "client/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace semsam::load {
namespace {

// A value of more than 8 bits is told apart by its 8 highest, of which the first
// is set: 128 buckets an octave.
constexpr int kExactBits = 8;
constexpr int64_t kExact = int64_t{1} << kExactBits;
constexpr int64_t kOctave = kExact / 2;
// Keeps a share that is a whole number of values from being rounded up to one more.
constexpr double kRankSlack = 1e-6;

int64_t ToMicroseconds(absl::Duration value) {
  value = std::clamp(value, absl::ZeroDuration(), LatencyHistogram::kLongest);
  return absl::ToInt64Microseconds(absl::Ceil(value, absl::Microseconds(1)));
}

size_t BucketOf(int64_t us) {
  if (us < kExact) return us;
  const int shift = std::bit_width(static_cast<uint64_t>(us)) - kExactBits;
  return kExact + (shift - 1) * kOctave + ((us >> shift) - kOctave);
}

int64_t LongestOf(size_t bucket) {
  const auto index = static_cast<int64_t>(bucket);
  if (index < kExact) return index;
  const int64_t shift = (index - kExact) / kOctave + 1;
  const int64_t high_bits = (index - kExact) % kOctave + kOctave;
  return ((high_bits + 1) << shift) - 1;
}

}  // namespace

void LatencyHistogram::Record(absl::Duration value) {
  const int64_t us = ToMicroseconds(value);
  const size_t bucket = BucketOf(us);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  min_us_ = count_ == 0 ? us : std::min(min_us_, us);
  max_us_ = std::max(max_us_, us);
  sum_us_ += static_cast<double>(us);
  ++count_;
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  if (other.count_ == 0) return;
  if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
  for (size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  min_us_ = count_ == 0 ? other.min_us_ : std::min(min_us_, other.min_us_);
  max_us_ = std::max(max_us_, other.max_us_);
  sum_us_ += other.sum_us_;
  count_ += other.count_;
}

absl::Duration LatencyHistogram::min() const { return absl::Microseconds(min_us_); }
absl::Duration LatencyHistogram::max() const { return absl::Microseconds(max_us_); }
absl::Duration LatencyHistogram::mean() const {
  return count_ == 0 ? absl::ZeroDuration()
                     : absl::Microseconds(sum_us_ / static_cast<double>(count_));
}

absl::Duration LatencyHistogram::Percentile(double percent) const {
  const double share = std::clamp(percent, 0.0, 100.0) * static_cast<double>(count_) / 100;
  const auto rank = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(share - kRankSlack)));
  int64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return absl::Microseconds(std::min(LongestOf(i), max_us_));
  }
  return max();
}

std::vector<LatencyHistogram::Bucket> LatencyHistogram::Buckets() const {
  std::vector<Bucket> buckets;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) {
      buckets.push_back({.longest = absl::Microseconds(LongestOf(i)), .count = counts_[i]});
    }
  }
  return buckets;
}

}  // namespace semsam::load
