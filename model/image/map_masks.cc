#include "model/image/map_masks.h"

#include <algorithm>
#include <utility>

namespace semsam {
namespace {

// The run lengths of all labels, which grow as runs of equal pixels come in
// column-major order.
class MaskSet {
 public:
  MaskSet(ImageSize size, int first_label, int end_label)
      : size_(size), first_(first_label), masks_(end_label - first_label) {}

  // Pixels [begin, end) in column-major order have `label`, those around have not.
  void AddRun(int32_t label, int64_t begin, int64_t end) {
    // Unsigned: what lies below the first label is as far out as what lies above.
    const auto index = static_cast<uint32_t>(label) - static_cast<uint32_t>(first_);
    if (index >= masks_.size()) return;
    Growing& mask = masks_[index];
    mask.counts.push_back(static_cast<uint32_t>(begin - mask.end));
    mask.counts.push_back(static_cast<uint32_t>(end - begin));
    mask.area += end - begin;
    mask.end = end;
  }

  std::vector<LabelMask> Finish() {
    std::vector<LabelMask> found;
    for (size_t i = 0; i < masks_.size(); ++i) {
      Growing& mask = masks_[i];
      if (mask.area == 0) continue;
      if (mask.end < size_.area()) {
        mask.counts.push_back(static_cast<uint32_t>(size_.area() - mask.end));
      }
      found.push_back({.label = first_ + static_cast<int>(i),
                       .mask = {.size = size_, .counts = std::move(mask.counts)},
                       .area = mask.area});
    }
    return found;
  }

 private:
  struct Growing {
    std::vector<uint32_t> counts;
    int64_t end = 0;  // of the last run
    int64_t area = 0;
  };

  ImageSize size_;
  int first_;
  std::vector<Growing> masks_;
};

}  // namespace

absl::StatusOr<std::vector<LabelMask>> MasksOfMap(std::span<const int32_t> map, ImageSize size,
                                                  int first_label, int end_label) {
  if (size.height <= 0 || size.width <= 0 || map.size() != static_cast<size_t>(size.area())) {
    return absl::InternalError("label map: the labels do not fill the map");
  }
  if (end_label < first_label) return absl::InternalError("label map: the labels end too early");
  // Some columns at a time, turned into rows: a column of a large map touches a
  // cache line a pixel.
  constexpr int kColumns = 16;
  std::vector<int32_t> turned(static_cast<size_t>(kColumns) * size.height);
  MaskSet masks(size, first_label, end_label);
  const int64_t height = size.height;
  int32_t label = map[0];
  int64_t begin = 0;
  for (int x0 = 0; x0 < size.width; x0 += kColumns) {
    const int columns = std::min(kColumns, size.width - x0);
    for (int64_t y = 0; y < height; ++y) {
      const int32_t* row = map.data() + y * size.width + x0;
      for (int k = 0; k < columns; ++k) turned[k * height + y] = row[k];
    }
    for (int64_t i = 0; i < columns * height; ++i) {
      if (turned[i] == label) continue;
      masks.AddRun(label, begin, x0 * height + i);
      label = turned[i];
      begin = x0 * height + i;
    }
  }
  masks.AddRun(label, begin, size.area());
  return masks.Finish();
}

}  // namespace semsam
