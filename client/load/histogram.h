// How long calls took: counts in buckets that widen with the value, as
// HdrHistogram's do, so that one histogram holds microseconds and hours.
//
// Values are whole microseconds, rounded up; below 0 counts as 0, above kLongest
// as kLongest. Values below 256 us have a bucket each, a bucket above is narrower
// than 1/128 of its values. Takes 32 kB at most. Not thread-safe.
#ifndef SEMSAM_CLIENT_LOAD_HISTOGRAM_H_
#define SEMSAM_CLIENT_LOAD_HISTOGRAM_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace semsam::load {

class LatencyHistogram {
 public:
  static constexpr absl::Duration kLongest = absl::Hours(24);

  struct Bucket {
    absl::Duration longest;  // value that counts here
    int64_t count = 0;

    friend bool operator==(const Bucket&, const Bucket&) = default;
  };

  void Record(absl::Duration value);
  void Merge(const LatencyHistogram& other);

  int64_t count() const { return count_; }
  // Exact but for the rounding to microseconds; zero without values.
  absl::Duration min() const;
  absl::Duration max() const;
  absl::Duration mean() const;

  // What `percent` (0 to 100) of the values do not exceed: the longest value of
  // the bucket with the value of that rank, max() at most. Zero without values.
  absl::Duration Percentile(double percent) const;

  // Those with a value, shortest first.
  std::vector<Bucket> Buckets() const;

 private:
  std::vector<int64_t> counts_;  // as long as the longest value needs
  int64_t count_ = 0;
  int64_t min_us_ = 0;
  int64_t max_us_ = 0;
  double sum_us_ = 0;
};

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_HISTOGRAM_H_
