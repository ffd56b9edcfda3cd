#include "server/pipeline/resample_mask.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// The index, of `from`, of the pixel under the centre of pixel `i` of `to`.
int Under(int i, int from, int to) {
  return static_cast<int>((2 * int64_t{i} + 1) * from / (2 * int64_t{to}));
}

}  // namespace

RunLengths ResampleMask(const RunLengths& runs, ImageSize size) {
  if (runs.size == size) return runs;
  const BinaryMask mask = DecodeRunLengths(runs);
  std::vector<int> columns(size.width);
  for (int x = 0; x < size.width; ++x) columns[x] = Under(x, runs.size.width, size.width);
  RunLengthBuilder builder(size);
  std::vector<uint64_t> row(RowWords(size.width));
  int last_source = -1;
  for (int y = 0; y < size.height; ++y) {
    const int source = Under(y, runs.size.height, size.height);
    if (source != last_source) {
      const uint8_t* pixels = mask.pixels.data() + static_cast<size_t>(source) * runs.size.width;
      row.assign(row.size(), 0);
      for (int x = 0; x < size.width; ++x) {
        row[x / 64] |= uint64_t{pixels[columns[x]] != 0} << (x % 64);
      }
      last_source = source;
    }
    builder.AddRow(row);
  }
  return builder.Finish();
}

}  // namespace semsam
