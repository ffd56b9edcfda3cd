#include "model/image/run_lengths.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace semsam {
namespace {

bool TestBit(std::span<const uint64_t> bits, size_t index) {
  return bits[index / 64] >> (index % 64) & 1;
}

// Calls `visit(begin, end)` for every run of ones, as column-major positions.
template <typename Visit>
void ForEachRun(const RunLengths& runs, Visit&& visit) {
  int64_t position = 0;
  for (size_t i = 0; i < runs.counts.size(); ++i) {
    const int64_t next = position + runs.counts[i];
    if (i % 2 == 1 && next > position) visit(position, next);
    position = next;
  }
}

// Packs bytes 0 and 1 into bits, the first byte lowest.
void PackRow(const uint8_t* pixels, int width, std::span<uint64_t> bits) {
  std::fill(bits.begin(), bits.end(), 0);
  int x = 0;
  for (; x + 8 <= width; x += 8) {
    uint64_t eight = 0;
    for (int k = 0; k < 8; ++k) eight |= uint64_t{pixels[x + k]} << 8 * k;
    // Each of the eight bytes is 0 or 1: the product gathers them in the top byte.
    bits[x / 64] |= (eight * 0x0102040810204080 >> 56) << (x % 64);
  }
  for (; x < width; ++x) bits[x / 64] |= uint64_t{pixels[x]} << (x % 64);
}

}  // namespace

RunLengthBuilder::RunLengthBuilder(ImageSize size)
    : size_(size),
      first_row_(RowWords(size.width)),
      previous_row_(RowWords(size.width)),
      in_column_(size.width) {}

void RunLengthBuilder::AddRow(std::span<const uint64_t> row) {
  if (rows_ == 0) {
    std::copy(row.begin(), row.end(), first_row_.begin());
  } else {
    for (size_t word = 0; word < previous_row_.size(); ++word) {
      for (uint64_t changed = row[word] ^ previous_row_[word]; changed != 0;
           changed &= changed - 1) {
        const uint32_t x = static_cast<uint32_t>(word * 64 + std::countr_zero(changed));
        changes_.push_back({.x = x, .y = static_cast<uint32_t>(rows_)});
        ++in_column_[x];
      }
    }
  }
  std::copy(row.begin(), row.end(), previous_row_.begin());
  ++rows_;
}

RunLengths RunLengthBuilder::Finish() {
  // Counting sort by column; within a column the rows are in order already.
  std::vector<uint32_t> start(in_column_.size() + 1);
  for (size_t x = 0; x < in_column_.size(); ++x) start[x + 1] = start[x] + in_column_[x];
  std::vector<uint32_t> rows(changes_.size());
  std::vector<uint32_t> next(start.begin(), start.end() - 1);
  for (const Change& change : changes_) rows[next[change.x]++] = change.y;

  RunLengths runs{.size = size_};
  runs.counts.reserve(changes_.size() + 2);
  const int64_t height = size_.height;
  int64_t last = 0;
  const auto change_at = [&](int64_t position) {
    runs.counts.push_back(static_cast<uint32_t>(position - last));
    last = position;
  };
  bool value = false;  // of the pixel before, in column-major order
  for (int x = 0; x < size_.width; ++x) {
    if (TestBit(first_row_, x) != value) change_at(x * height);
    for (uint32_t i = start[x]; i < start[x + 1]; ++i) change_at(x * height + rows[i]);
    value = TestBit(previous_row_, x);
  }
  change_at(height * size_.width);
  return runs;
}

RunLengths EncodeRunLengths(const BinaryMask& mask) {
  RunLengthBuilder builder(mask.size);
  std::vector<uint64_t> row(RowWords(mask.size.width));
  for (int y = 0; y < mask.size.height; ++y) {
    PackRow(mask.pixels.data() + static_cast<size_t>(y) * mask.size.width, mask.size.width, row);
    builder.AddRow(row);
  }
  return builder.Finish();
}

BinaryMask DecodeRunLengths(const RunLengths& runs) {
  return DecodeWindow(runs, {.width = runs.size.width, .height = runs.size.height});
}

BinaryMask DecodeWindow(const RunLengths& runs, const PixelBox& window) {
  BinaryMask mask{.size = {window.height, window.width}};
  mask.pixels.assign(static_cast<size_t>(mask.size.area()), 0);
  const int64_t height = runs.size.height;
  const int64_t bottom = int64_t{window.y} + window.height;
  ForEachRun(runs, [&](int64_t begin, int64_t end) {
    // Column by column.
    for (int64_t x = begin / height; begin < end; ++x) {
      const int64_t column_end = std::min(end, (x + 1) * height);
      const int64_t first = std::max<int64_t>(begin - x * height, window.y);
      const int64_t last = std::min(column_end - x * height, bottom);
      begin = column_end;
      if (x < window.x || x >= int64_t{window.x} + window.width) continue;
      uint8_t* column = mask.pixels.data() + (x - window.x);
      for (int64_t y = first; y < last; ++y) column[(y - window.y) * window.width] = 1;
    }
  });
  return mask;
}

RunLengths EncodeWindow(const BinaryMask& pixels, const PixelBox& window, ImageSize size) {
  RunLengths runs{.size = size};
  int64_t last = 0;
  bool value = false;
  const auto change_at = [&](int64_t position) {
    runs.counts.push_back(static_cast<uint32_t>(position - last));
    last = position;
    value = !value;
  };
  const int64_t height = size.height;
  for (int64_t x = 0; x < window.width; ++x) {
    const int64_t top = (window.x + x) * height + window.y;
    // Pixels around the window are empty.
    if (value && window.height < height) change_at(top - height + window.height);
    const uint8_t* column = pixels.pixels.data() + x;
    for (int64_t y = 0; y < window.height; ++y) {
      if ((column[y * window.width] != 0) != value) change_at(top + y);
    }
  }
  const int64_t end = (int64_t{window.x} + window.width - 1) * height + window.y + window.height;
  if (value && end < size.area()) change_at(end);
  runs.counts.push_back(static_cast<uint32_t>(size.area() - last));
  return runs;
}

int64_t MaskArea(const RunLengths& runs) {
  int64_t area = 0;
  for (size_t i = 1; i < runs.counts.size(); i += 2) area += runs.counts[i];
  return area;
}

PixelBox BoundingBox(const RunLengths& runs) {
  const int64_t height = runs.size.height;
  int64_t left = runs.size.width, right = -1, top = height, bottom = -1;
  ForEachRun(runs, [&](int64_t begin, int64_t end) {
    const int64_t first = begin / height;
    const int64_t last = (end - 1) / height;
    left = std::min(left, first);
    right = std::max(right, last);
    // A run that goes on in the next column touches the bottom and the top.
    top = std::min(top, first == last ? begin % height : 0);
    bottom = std::max(bottom, first == last ? (end - 1) % height : height - 1);
  });
  if (right < 0) return {};
  return {.x = static_cast<int>(left),
          .y = static_cast<int>(top),
          .width = static_cast<int>(right - left + 1),
          .height = static_cast<int>(bottom - top + 1)};
}

int64_t SharedArea(const RunLengths& a, const RunLengths& b) {
  int64_t shared = 0;
  size_t i = 0, j = 0;
  int64_t a_end = a.counts.empty() ? 0 : a.counts[0];
  int64_t b_end = b.counts.empty() ? 0 : b.counts[0];
  int64_t position = 0;
  while (i < a.counts.size() && j < b.counts.size()) {
    const int64_t next = std::min(a_end, b_end);
    if (i % 2 == 1 && j % 2 == 1) shared += next - position;
    position = next;
    if (a_end == next && ++i < a.counts.size()) a_end += a.counts[i];
    if (b_end == next && ++j < b.counts.size()) b_end += b.counts[j];
  }
  return shared;
}

double MaskIou(const RunLengths& a, const RunLengths& b) {
  const int64_t shared = SharedArea(a, b);
  const int64_t either = MaskArea(a) + MaskArea(b) - shared;
  return either == 0 ? 0.0 : static_cast<double>(shared) / static_cast<double>(either);
}

}  // namespace semsam
