#include "model/image/mask_logits.h"

#include <algorithm>
#include <cstdint>

#include "model/base/float16.h"

namespace semsam {
namespace {

// One axis: how many cells cover the picture, and how many of its pixels each is wide.
struct Axis {
  int cells = 0;
  float cell = 0;
};

Axis AxisOf(int grid, int padded, int network, int mask) {
  const auto covering = (int64_t{network} * grid + padded - 1) / padded;
  const double network_px = static_cast<double>(padded) / grid;
  return {.cells = static_cast<int>(covering),
          .cell = static_cast<float>(network_px * mask / network)};
}

}  // namespace

PackedLogits PackLogits(LogitsView logits, const ImageGeometry& geometry,
                        MaskResolution resolution) {
  const ImageSize mask = MaskSize(geometry, resolution);
  const Axis rows =
      AxisOf(logits.size.height, geometry.padded.height, geometry.network.height, mask.height);
  const Axis columns =
      AxisOf(logits.size.width, geometry.padded.width, geometry.network.width, mask.width);
  PackedLogits packed{.size = {.height = rows.cells, .width = columns.cells},
                      .cell_width = columns.cell,
                      .cell_height = rows.cell};
  packed.halves.reserve(static_cast<size_t>(packed.size.area()) * 2);
  for (int y = 0; y < rows.cells; ++y) {
    for (int x = 0; x < columns.cells; ++x) {
      const uint16_t half = FloatToHalf(std::clamp(logits.at(y, x), -kMaxHalf, kMaxHalf));
      packed.halves.push_back(static_cast<char>(half & 0xff));
      packed.halves.push_back(static_cast<char>(half >> 8));
    }
  }
  return packed;
}

}  // namespace semsam
