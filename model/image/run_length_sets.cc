#include "model/image/run_length_sets.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

// Builds canonical run lengths from stretches of one value that follow each other.
class Appender {
 public:
  explicit Appender(ImageSize size) : runs_{.size = size, .counts = {0}} {}

  void Append(bool value, int64_t length) {
    if (length <= 0) return;
    if (value != value_) {
      runs_.counts.push_back(0);
      value_ = value;
    }
    runs_.counts.back() += static_cast<uint32_t>(length);
  }

  RunLengths Finish() && { return std::move(runs_); }

 private:
  RunLengths runs_;
  bool value_ = false;
};

// Calls visit(in_a, in_b, length) for the stretches over which neither changes.
template <typename Visit>
void ForEachStretch(const RunLengths& a, const RunLengths& b, Visit&& visit) {
  size_t i = 0, j = 0;
  int64_t left_a = a.counts.empty() ? 0 : a.counts[0];
  int64_t left_b = b.counts.empty() ? 0 : b.counts[0];
  while (i < a.counts.size() && j < b.counts.size()) {
    const int64_t length = std::min(left_a, left_b);
    if (length > 0) visit(i % 2 == 1, j % 2 == 1, length);
    left_a -= length;
    left_b -= length;
    if (left_a == 0 && ++i < a.counts.size()) left_a = a.counts[i];
    if (left_b == 0 && ++j < b.counts.size()) left_b = b.counts[j];
  }
}

template <typename Rule>
RunLengths Combine(const RunLengths& a, const RunLengths& b, Rule rule) {
  Appender out(a.size);
  ForEachStretch(
      a, b, [&](bool in_a, bool in_b, int64_t length) { out.Append(rule(in_a, in_b), length); });
  return std::move(out).Finish();
}

// Stretches of ones within the columns of a mask.
struct Stretch {
  int begin = 0;  // row
  int end = 0;    // row, not in it
};

class ColumnStretches {
 public:
  explicit ColumnStretches(const RunLengths& mask) : first_(mask.size.width + 1) {
    const int64_t height = mask.size.height;
    int64_t position = 0;
    int column = 0;
    for (size_t i = 0; i < mask.counts.size(); ++i) {
      const int64_t end = position + mask.counts[i];
      for (int64_t at = position; i % 2 == 1 && at < end;) {
        const int x = static_cast<int>(at / height);
        const int64_t stop = std::min(end, (int64_t{x} + 1) * height);
        while (column < x) first_[++column] = stretches_.size();
        stretches_.push_back(
            {.begin = static_cast<int>(at % height), .end = static_cast<int>(stop - x * height)});
        at = stop;
      }
      position = end;
    }
    while (column < mask.size.width) first_[++column] = stretches_.size();
  }

  std::span<const Stretch> column(int x) const {
    return std::span<const Stretch>(stretches_).subspan(first_[x], first_[x + 1] - first_[x]);
  }

 private:
  std::vector<Stretch> stretches_;
  std::vector<size_t> first_;  // of a column; the last entry ends them
};

// First place in `rows` whose source row is at least y, for every y; negative
// entries before the first source row come before, those behind it after.
std::vector<int> FirstPlaces(std::span<const int> rows, int source_height) {
  size_t begin = 0;
  while (begin < rows.size() && rows[begin] < 0) ++begin;
  size_t end = begin;
  while (end < rows.size() && rows[end] >= 0) ++end;
  std::vector<int> places(source_height + 1, static_cast<int>(end));
  size_t at = begin;
  for (int y = 0; y <= source_height; ++y) {
    while (at < end && rows[at] < y) ++at;
    places[y] = static_cast<int>(at);
  }
  return places;
}

}  // namespace

RunLengths EmptyMask(ImageSize size) {
  return {.size = size, .counts = {static_cast<uint32_t>(size.area())}};
}

RunLengths FullMask(ImageSize size) {
  return {.size = size, .counts = {0, static_cast<uint32_t>(size.area())}};
}

RunLengths BoxMask(PixelBox box, ImageSize size) {
  const int64_t left = std::clamp<int64_t>(box.x, 0, size.width);
  const int64_t right = std::clamp<int64_t>(int64_t{box.x} + box.width, left, size.width);
  const int64_t top = std::clamp<int64_t>(box.y, 0, size.height);
  const int64_t bottom = std::clamp<int64_t>(int64_t{box.y} + box.height, top, size.height);
  Appender out(size);
  out.Append(false, left * size.height);
  for (int64_t x = left; x < right; ++x) {
    out.Append(false, top);
    out.Append(true, bottom - top);
    out.Append(false, size.height - bottom);
  }
  out.Append(false, (size.width - right) * size.height);
  return std::move(out).Finish();
}

RunLengths UnionOf(const RunLengths& a, const RunLengths& b) {
  return Combine(a, b, [](bool in_a, bool in_b) { return in_a || in_b; });
}

RunLengths IntersectionOf(const RunLengths& a, const RunLengths& b) {
  return Combine(a, b, [](bool in_a, bool in_b) { return in_a && in_b; });
}

RunLengths DifferenceOf(const RunLengths& a, const RunLengths& b) {
  return Combine(a, b, [](bool in_a, bool in_b) { return in_a && !in_b; });
}

RunLengths ComplementOf(const RunLengths& a) { return DifferenceOf(FullMask(a.size), a); }

bool Contains(const RunLengths& mask, int x, int y) {
  if (x < 0 || y < 0 || x >= mask.size.width || y >= mask.size.height) return false;
  int64_t left = int64_t{x} * mask.size.height + y;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    if (left < mask.counts[i]) return i % 2 == 1;
    left -= mask.counts[i];
  }
  return false;
}

absl::StatusOr<RunLengths> CheckedRunLengths(std::span<const int64_t> counts, ImageSize size) {
  Appender out(size);
  int64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0) return absl::InvalidArgumentError("run lengths: a run is negative");
    if (counts[i] > size.area() - total) {
      return absl::InvalidArgumentError(absl::StrCat("run lengths: they exceed the ", size.width,
                                                     " x ", size.height, " pixels of the image"));
    }
    total += counts[i];
    out.Append(i % 2 == 1, counts[i]);
  }
  if (total != size.area()) {
    return absl::InvalidArgumentError(absl::StrCat("run lengths: they cover ", total, " of the ",
                                                   size.width, " x ", size.height,
                                                   " pixels of the image"));
  }
  return std::move(out).Finish();
}

RunLengths SampleMask(const RunLengths& mask, std::span<const int> columns,
                      std::span<const int> rows) {
  const ColumnStretches stretches(mask);
  const std::vector<int> places = FirstPlaces(rows, mask.size.height);
  const int height = static_cast<int>(rows.size());
  Appender out({.height = height, .width = static_cast<int>(columns.size())});
  for (const int column : columns) {
    int row = 0;
    if (column >= 0) {
      for (const Stretch& stretch : stretches.column(column)) {
        out.Append(false, places[stretch.begin] - row);
        out.Append(true, places[stretch.end] - places[stretch.begin]);
        row = places[stretch.end];
      }
    }
    out.Append(false, height - row);
  }
  return std::move(out).Finish();
}

}  // namespace semsam
