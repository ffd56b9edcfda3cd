// The mask tail for many maps of one image, tile by tile of the output: bilinear
// from the grid to the padded size, cut to the network size, then, where the output
// has another size, antialiased bicubic to that. The logits themselves come out,
// rounded as UpsampleLogits and the bicubic part of the mask tail round them, and no
// buffer holds more than a tile.
#ifndef SEMSAM_MODEL_IMAGE_TILE_UPSAMPLER_H_
#define SEMSAM_MODEL_IMAGE_TILE_UPSAMPLER_H_

#include <array>
#include <optional>
#include <vector>

#include "model/base/types.h"
#include "model/image/upsample.h"

namespace semsam {

// Part of a map: columns [x0, x1) of rows [y0, y1). Not empty.
struct Tile {
  int x0 = 0;  // px
  int y0 = 0;
  int x1 = 0;
  int y1 = 0;

  int width() const { return x1 - x0; }
  int height() const { return y1 - y0; }
  int64_t area() const { return int64_t{height()} * width(); }
};

// Large enough that the rows which neighbours share are few, small enough for a
// cache.
inline constexpr ImageSize kTileSize = {.height = 32, .width = 128};

// The tiles of a map from left to right, then from top to bottom.
std::vector<Tile> TilesOf(ImageSize output, ImageSize tile = kTileSize);

// Belongs to one thread: it keeps scratch memory.
class TileUpsampler {
 public:
  // `geometry` and `grid` have passed ValidateGeometry; `output` is not empty.
  TileUpsampler(const ImageGeometry& geometry, ImageSize grid, ImageSize output);

  // Values of `logits`, which are finite and of the grid's size, in `tile`:
  // out [tile.height(), tile.width()].
  void Upsample(LogitsView logits, const Tile& tile, float* out);

  // What Upsample can give in a tile, rounding included: from a look at the grid
  // cells that the tile sees.
  struct Range {
    float low = 0;
    float high = 0;
  };
  Range Bounds(LogitsView logits, const Tile& tile) const;

 private:
  // Columns or rows of the network's image that some of the output see, [begin, end).
  struct Extent {
    int begin = 0;
    int end = 0;
  };
  Extent NetworkColumns(const Tile& tile) const;
  Extent NetworkRows(const Tile& tile) const;
  void ForgetRows();
  // Columns `columns` of a grid row interpolated along x; of a network row.
  const float* WideRow(LogitsView logits, int grid_row, int other_grid_row, Extent columns);
  void NetworkRow(LogitsView logits, int y, Extent columns, float* out);
  // Network row y resized along x to the columns of `tile`.
  const float* ResizedRow(LogitsView logits, int y, Extent columns, const Tile& tile);

  BilinearAxis grid_x_;
  BilinearAxis grid_y_;
  // Absent where the output is the network's image.
  std::optional<BicubicAxis> output_x_;
  std::optional<BicubicAxis> output_y_;
  float overshoot_ = 0;  // see Bounds

  struct Row {
    int index = -1;
    std::vector<float> values;
  };
  std::array<Row, 2> wide_;         // grid rows, [network width]
  std::vector<float> network_row_;  // [network width + overread]
  std::vector<Row> resized_;        // network row r in slot r % taps, [output width]
  std::vector<const float*> rows_;  // [taps]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_TILE_UPSAMPLER_H_
