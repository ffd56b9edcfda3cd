// A mean that does not depend on the order in which its values came.
//
// Sums of doubles differ in their last bits with the order of the terms, and so
// would a figure with the number of workers. This one adds in fixed point.
//
// Not thread-safe; one for each worker, then Merge.
#ifndef SEMSAM_MODEL_EVALUATION_EXACT_MEAN_H_
#define SEMSAM_MODEL_EVALUATION_EXACT_MEAN_H_

#include <cmath>
#include <cstdint>
#include <limits>

namespace semsam {

// A number of a report, and how many samples stand behind it. NaN where there is
// none: "-" in a table, null in JSON.
struct Figure {
  double value = std::numeric_limits<double>::quiet_NaN();
  int64_t count = 0;
};

class ExactMean {
 public:
  // `value` is in [0, 2^32). Rounded to 2^-52.
  void Add(double value) {
    const double whole = std::floor(value);
    whole_ += static_cast<uint64_t>(whole);
    AddFraction(static_cast<uint64_t>(std::llround((value - whole) * kOne)));
    ++count_;
  }

  void Merge(const ExactMean& other) {
    whole_ += other.whole_;
    AddFraction(other.fraction_);
    count_ += other.count_;
  }

  int64_t count() const { return count_; }
  double sum() const { return static_cast<double>(whole_) + static_cast<double>(fraction_) / kOne; }
  // NaN where there is no value.
  double mean() const {
    return count_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                       : sum() / static_cast<double>(count_);
  }
  Figure figure() const { return {.value = mean(), .count = count_}; }

 private:
  static constexpr int kFractionBits = 52;
  static constexpr double kOne = static_cast<double>(uint64_t{1} << kFractionBits);

  void AddFraction(uint64_t fraction) {
    fraction_ += fraction;
    whole_ += fraction_ >> kFractionBits;
    fraction_ &= (uint64_t{1} << kFractionBits) - 1;
  }

  uint64_t whole_ = 0;
  uint64_t fraction_ = 0;  // of 2^-52, below 2^52
  int64_t count_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_EXACT_MEAN_H_
