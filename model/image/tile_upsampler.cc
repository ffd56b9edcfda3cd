#include "model/image/tile_upsampler.h"

#include <algorithm>
#include <cmath>

namespace semsam {

std::vector<Tile> TilesOf(ImageSize output, ImageSize tile) {
  std::vector<Tile> tiles;
  for (int y = 0; y < output.height; y += tile.height) {
    for (int x = 0; x < output.width; x += tile.width) {
      tiles.push_back({.x0 = x,
                       .y0 = y,
                       .x1 = std::min(x + tile.width, output.width),
                       .y1 = std::min(y + tile.height, output.height)});
    }
  }
  return tiles;
}

TileUpsampler::TileUpsampler(const ImageGeometry& geometry, ImageSize grid, ImageSize output)
    : grid_x_(grid.width, geometry.padded.width), grid_y_(grid.height, geometry.padded.height) {
  const ImageSize network = geometry.network;
  for (Row& row : wide_) row.values.resize(network.width);
  network_row_.resize(static_cast<size_t>(network.width) + BicubicAxis::kOverread);
  if (output == network) return;
  output_x_.emplace(network.width, output.width);
  output_y_.emplace(network.height, output.height);
  resized_.resize(output_y_->taps);
  for (Row& row : resized_) row.values.resize(output.width);
  rows_.resize(output_y_->taps);
  // Weights add up to 1, so with n the sum of the negative ones a value of samples
  // in [low, high] is at least low - n * (high - low).
  const float nx = output_x_->negative;
  const float ny = output_y_->negative;
  overshoot_ = nx * (1 + ny) + ny * (1 + nx);
}

TileUpsampler::Extent TileUpsampler::NetworkColumns(const Tile& tile) const {
  if (!output_x_) return {tile.x0, tile.x1};
  return {output_x_->first[tile.x0], output_x_->first[tile.x1 - 1] + output_x_->count[tile.x1 - 1]};
}

TileUpsampler::Extent TileUpsampler::NetworkRows(const Tile& tile) const {
  if (!output_y_) return {tile.y0, tile.y1};
  return {output_y_->first[tile.y0], output_y_->first[tile.y1 - 1] + output_y_->count[tile.y1 - 1]};
}

TileUpsampler::Range TileUpsampler::Bounds(LogitsView logits, const Tile& tile) const {
  const Extent columns = NetworkColumns(tile);
  const Extent rows = NetworkRows(tile);
  const int left = grid_x_.index0[columns.begin];
  const int right = grid_x_.index1[columns.end - 1];
  float low = logits.at(grid_y_.index0[rows.begin], left);
  float high = low;
  for (int y = grid_y_.index0[rows.begin]; y <= grid_y_.index1[rows.end - 1]; ++y) {
    const float* row = logits.data + static_cast<size_t>(y) * logits.size.width;
    for (int x = left; x <= right; ++x) {
      low = row[x] < low ? row[x] : low;
      high = row[x] > high ? row[x] : high;
    }
  }
  const float slack = overshoot_ * (high - low) + 1e-5f * (std::fabs(low) + std::fabs(high));
  return {low - slack, high + slack};
}

void TileUpsampler::ForgetRows() {
  for (Row& row : wide_) row.index = -1;
  for (Row& row : resized_) row.index = -1;
}

const float* TileUpsampler::WideRow(LogitsView logits, int grid_row, int other_grid_row,
                                    Extent columns) {
  for (const Row& row : wide_) {
    if (row.index == grid_row) return row.values.data();
  }
  Row& row = wide_[0].index == other_grid_row ? wide_[1] : wide_[0];
  row.index = grid_row;
  WidenRow(logits.data + static_cast<size_t>(grid_row) * logits.size.width, grid_x_, columns.begin,
           columns.end, row.values.data());
  return row.values.data();
}

void TileUpsampler::NetworkRow(LogitsView logits, int y, Extent columns, float* out) {
  const int top = grid_y_.index0[y];
  const int bottom = grid_y_.index1[y];
  const float* top_row = WideRow(logits, top, bottom, columns);
  const float* bottom_row = WideRow(logits, bottom, top, columns);
  BlendRows(top_row + columns.begin, grid_y_.weight0[y], bottom_row + columns.begin,
            grid_y_.weight1[y], 0, columns.end - columns.begin, out);
}

const float* TileUpsampler::ResizedRow(LogitsView logits, int y, Extent columns, const Tile& tile) {
  Row& row = resized_[y % resized_.size()];
  if (row.index != y) {
    NetworkRow(logits, y, columns, network_row_.data() + columns.begin);
    ResizeRow(network_row_.data(), *output_x_, tile.x0, tile.x1, row.values.data());
    row.index = y;
  }
  return row.values.data() + tile.x0;
}

void TileUpsampler::Upsample(LogitsView logits, const Tile& tile, float* out) {
  ForgetRows();
  const Extent columns = NetworkColumns(tile);
  for (int y = tile.y0; y < tile.y1; ++y, out += tile.width()) {
    if (!output_y_) {
      NetworkRow(logits, y, columns, out);
      continue;
    }
    const size_t count = output_y_->count[y];
    for (size_t t = 0; t < count; ++t) {
      rows_[t] = ResizedRow(logits, output_y_->first[y] + static_cast<int>(t), columns, tile);
    }
    CombineRows({rows_.data(), count},
                output_y_->weights.data() + static_cast<size_t>(y) * output_y_->taps, tile.width(),
                out);
  }
}

}  // namespace semsam
