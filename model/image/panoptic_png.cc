#include "model/image/panoptic_png.h"

#include <algorithm>
#include <vector>

#include "model/image/png_codec.h"

namespace semsam {

absl::StatusOr<std::string> EncodePanopticPng(const PanopticMap& map) {
  if (map.size.height <= 0 || map.size.width <= 0 ||
      map.ids.size() != static_cast<size_t>(map.size.area())) {
    return absl::InternalError("panoptic map: the ids do not fill the map");
  }
  if (std::any_of(map.ids.begin(), map.ids.end(),
                  [](int32_t id) { return id < 0 || id >= 1 << 24; })) {
    return absl::InternalError("panoptic map: an id does not fit 24 bits");
  }
  std::vector<uint8_t> row(static_cast<size_t>(map.size.width) * 3);
  return EncodeRgbPng(map.size, [&](int y) {
    const int32_t* ids = map.ids.data() + static_cast<size_t>(y) * map.size.width;
    for (int x = 0; x < map.size.width; ++x) {
      for (int c = 0; c < 3; ++c) row[3 * x + c] = static_cast<uint8_t>(ids[x] >> 8 * c);
    }
    return row.data();
  });
}

}  // namespace semsam
