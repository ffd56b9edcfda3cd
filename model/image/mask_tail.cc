#include "model/image/mask_tail.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "model/image/quad_mask.h"
#include "model/image/run_lengths.h"
#include "model/image/upsample.h"

namespace semsam {
namespace {

bool IsQuad(LogitsView logits, const ImageGeometry& geometry) {
  return geometry.padded.width == 4 * logits.size.width &&
         geometry.padded.height == 4 * logits.size.height;
}

// Element-wise, in a form that compilers vectorise.
void Lesser(const float* a, const float* b, int count, float* out) {
  for (int x = 0; x < count; ++x) out[x] = b[x] < a[x] ? b[x] : a[x];
}
void Greater(const float* a, const float* b, int count, float* out) {
  for (int x = 0; x < count; ++x) out[x] = b[x] > a[x] ? b[x] : a[x];
}

void ForEachNetworkRow(LogitsView logits, const ImageGeometry& geometry, float threshold,
                       const MaskRowSink& sink) {
  if (IsQuad(logits, geometry)) {
    ForEachQuadMaskRow(logits, geometry.network, threshold, sink);
    return;
  }
  BilinearRows rows(logits, geometry.padded, geometry.network.width);
  std::vector<uint64_t> bits(RowWords(geometry.network.width));
  for (int y = 0; y < geometry.network.height; ++y) {
    ThresholdRow(rows.Row(y), threshold, bits.data());
    sink(y, bits);
  }
}

// The bicubic resize to the original size, thresholded at 0, in blocks of output
// columns. A block for which the logits around it leave no doubt is filled at once;
// for the others the network rows they need are made, and kept while needed.
class OriginalRows {
 public:
  OriginalRows(LogitsView logits, const ImageGeometry& geometry)
      : logits_(logits),
        width_(geometry.original.width),
        network_rows_(logits, geometry.padded, geometry.network.width),
        x_axis_(geometry.network.width, geometry.original.width),
        y_axis_(geometry.network.height, geometry.original.height),
        slots_(y_axis_.taps),
        windows_((width_ + kBlock - 1) / kBlock),
        inside_(RowWords(width_)),
        rows_(y_axis_.taps),
        values_(width_) {
    // Weights add up to 1, so with neg the sum of the negative ones a value of
    // samples in [low, high] is at least low - neg * (high - low).
    const float nx = x_axis_.negative;
    const float ny = y_axis_.negative;
    overshoot_ = nx * (1 + ny) + ny * (1 + nx);
    for (Slot& slot : slots_) {
      slot.values.resize(width_);
      slot.done.resize(windows_.size());
    }
    FindWindows();
  }

  void Row(int y, std::span<uint64_t> bits) {
    const int begin = y_axis_.first[y];
    const int count = y_axis_.count[y];
    Decide(network_rows_.y_axis().index0[begin], network_rows_.y_axis().index1[begin + count - 1]);
    std::copy(inside_.begin(), inside_.end(), bits.begin());
    for (const auto& [first, last] : mixed_runs_) Interpolate(y, first, last, bits);
  }

 private:
  static constexpr int kBlock = 16;  // columns; divides the 64 of a word

  // Grid columns that a block of output columns sees.
  struct Window {
    int left = 0;
    int right = 0;  // the last one
  };
  // A network row and what of it has been resized along x.
  struct Slot {
    int network_row = -1;
    std::vector<float> network;
    std::vector<float> values;  // [original width]
    std::vector<uint8_t> done;  // a block
  };

  int BlockBegin(size_t block) const { return static_cast<int>(block) * kBlock; }
  int BlockEnd(size_t block) const { return std::min(BlockBegin(block) + kBlock, width_); }
  void SetBits(std::span<uint64_t> bits, size_t block, uint64_t value) const {
    bits[BlockBegin(block) / 64] |= value << (BlockBegin(block) % 64);
  }

  void FindWindows() {
    const BilinearAxis& grid_axis = network_rows_.x_axis();
    int widest = 1;
    for (size_t block = 0; block < windows_.size(); ++block) {
      const int last = BlockEnd(block) - 1;
      Window& window = windows_[block];
      window.left = grid_axis.index0[x_axis_.first[BlockBegin(block)]];
      window.right = grid_axis.index1[x_axis_.first[last] + x_axis_.count[last] - 1];
      widest = std::max(widest, window.right - window.left + 1);
    }
    const size_t levels = std::bit_width(static_cast<unsigned>(widest));
    lows_.assign(levels, std::vector<float>(logits_.size.width));
    highs_.assign(levels, std::vector<float>(logits_.size.width));
  }

  // Which blocks of output rows that see grid rows [top, bottom] need arithmetic.
  // Many rows in a row see the same ones.
  void Decide(int top, int bottom) {
    if (decided_ == std::pair(top, bottom)) return;
    decided_ = {top, bottom};
    FindRanges(top, bottom);
    std::fill(inside_.begin(), inside_.end(), 0);
    mixed_runs_.clear();
    for (size_t block = 0; block < windows_.size(); ++block) {
      const auto [left, right] = windows_[block];
      const int level = std::bit_width(static_cast<unsigned>(right - left + 1)) - 1;
      const int other = right + 1 - (1 << level);
      const float low = std::min(lows_[level][left], lows_[level][other]);
      const float high = std::max(highs_[level][left], highs_[level][other]);
      const float slack = overshoot_ * (high - low) + 1e-5f * (std::fabs(low) + std::fabs(high));
      if (low > slack) {
        SetBits(inside_, block, ~uint64_t{0} >> (64 - (BlockEnd(block) - BlockBegin(block))));
      } else if (!(high < -slack)) {
        if (mixed_runs_.empty() || mixed_runs_.back().second + 1 != block) {
          mixed_runs_.emplace_back(block, block);
        }
        mixed_runs_.back().second = block;
      }
    }
  }

  // Least and greatest logit of grid rows [top, bottom]: level k holds them for 2^k
  // columns from each one on, so that two look-ups answer for any window.
  void FindRanges(int top, int bottom) {
    const int width = logits_.size.width;
    const float* row = logits_.data + static_cast<size_t>(top) * width;
    std::copy_n(row, width, lows_[0].begin());
    std::copy_n(row, width, highs_[0].begin());
    for (int g = top + 1; g <= bottom; ++g) {
      row += width;
      Lesser(lows_[0].data(), row, width, lows_[0].data());
      Greater(highs_[0].data(), row, width, highs_[0].data());
    }
    for (size_t level = 1; level < lows_.size(); ++level) {
      const int half = 1 << (level - 1);
      const float* low = lows_[level - 1].data();
      const float* high = highs_[level - 1].data();
      Lesser(low, low + half, width - 2 * half + 1, lows_[level].data());
      Greater(high, high + half, width - 2 * half + 1, highs_[level].data());
    }
  }

  // Output row y in blocks [first, last].
  void Interpolate(int y, size_t first, size_t last, std::span<uint64_t> bits) {
    const int begin = BlockBegin(first);
    const size_t pixels = BlockEnd(last) - begin;
    const size_t count = y_axis_.count[y];
    for (size_t t = 0; t < count; ++t) {
      rows_[t] = ResizedRow(y_axis_.first[y] + static_cast<int>(t), first, last) + begin;
    }
    CombineRows({rows_.data(), count},
                y_axis_.weights.data() + static_cast<size_t>(y) * y_axis_.taps, pixels,
                values_.data() + begin);
    for (size_t block = first; block <= last; ++block) {
      const size_t width = BlockEnd(block) - BlockBegin(block);
      uint64_t value = 0;
      ThresholdRow({values_.data() + BlockBegin(block), width}, 0.0f, &value);
      SetBits(bits, block, value);
    }
  }

  // A network row resized along x, valid in blocks [first, last].
  const float* ResizedRow(int network_row, size_t first, size_t last) {
    Slot& slot = slots_[network_row % slots_.size()];
    if (slot.network_row != network_row) {
      const std::span<const float> row = network_rows_.Row(network_row);
      slot.network.assign(row.begin(), row.end());
      slot.network.resize(row.size() + BicubicAxis::kOverread);
      slot.network_row = network_row;
      std::fill(slot.done.begin(), slot.done.end(), 0);
    }
    for (size_t block = first; block <= last; ++block) {
      if (slot.done[block]) continue;
      slot.done[block] = 1;
      ResizeRow(slot.network.data(), x_axis_, BlockBegin(block), BlockEnd(block),
                slot.values.data());
    }
    return slot.values.data();
  }

  LogitsView logits_;
  int width_;
  BilinearRows network_rows_;
  BicubicAxis x_axis_;
  BicubicAxis y_axis_;
  float overshoot_ = 0;
  std::vector<Slot> slots_;                // network row r lives in slot r % taps
  std::vector<Window> windows_;            // a block
  std::vector<std::vector<float>> lows_;   // [levels, grid width], see FindRanges
  std::vector<std::vector<float>> highs_;  // likewise
  // The decision for the grid rows `decided_`.
  std::pair<int, int> decided_ = {-1, -1};
  std::vector<uint64_t> inside_;                       // pixels surely in the mask
  std::vector<std::pair<size_t, size_t>> mixed_runs_;  // first and last block
  std::vector<const float*> rows_;
  std::vector<float> values_;
};

void ForEachMaskRow(LogitsView logits, const ImageGeometry& geometry, MaskResolution resolution,
                    const MaskRowSink& sink) {
  // The published code resizes to the same size too, which changes nothing.
  if (resolution == MaskResolution::kNetwork || geometry.original == geometry.network) {
    ForEachNetworkRow(logits, geometry, 0.0f, sink);
    return;
  }
  OriginalRows rows(logits, geometry);
  std::vector<uint64_t> bits(RowWords(geometry.original.width));
  for (int y = 0; y < geometry.original.height; ++y) {
    rows.Row(y, bits);
    sink(y, bits);
  }
}

int64_t AreaAbove(LogitsView logits, const ImageGeometry& geometry, float threshold) {
  int64_t area = 0;
  ForEachNetworkRow(logits, geometry, threshold, [&area](int, std::span<const uint64_t> row) {
    for (const uint64_t word : row) area += std::popcount(word);
  });
  return area;
}

}  // namespace

absl::Status ValidateGeometry(const ImageGeometry& geometry, ImageSize grid) {
  for (const ImageSize& size : {geometry.original, geometry.network, geometry.padded, grid}) {
    if (size.height < 1 || size.width < 1) return absl::InternalError("geometry: an empty size");
  }
  if (geometry.network.height > geometry.padded.height ||
      geometry.network.width > geometry.padded.width) {
    return absl::InternalError("geometry: the network size exceeds the padded size");
  }
  if (grid.height > geometry.padded.height || grid.width > geometry.padded.width) {
    return absl::InternalError("geometry: the grid exceeds the padded size");
  }
  return absl::OkStatus();
}

ImageSize MaskSize(const ImageGeometry& geometry, MaskResolution resolution) {
  return resolution == MaskResolution::kOriginal ? geometry.original : geometry.network;
}

RunLengths LogitsToRunLengths(LogitsView logits, const ImageGeometry& geometry,
                              MaskResolution resolution) {
  RunLengthBuilder builder(MaskSize(geometry, resolution));
  ForEachMaskRow(logits, geometry, resolution,
                 [&builder](int, std::span<const uint64_t> row) { builder.AddRow(row); });
  return builder.Finish();
}

BinaryMask LogitsToMask(LogitsView logits, const ImageGeometry& geometry,
                        MaskResolution resolution) {
  BinaryMask mask{.size = MaskSize(geometry, resolution)};
  mask.pixels.resize(static_cast<size_t>(mask.size.area()));
  ForEachMaskRow(logits, geometry, resolution, [&mask](int y, std::span<const uint64_t> row) {
    uint8_t* pixels = mask.pixels.data() + static_cast<size_t>(y) * mask.size.width;
    for (int x = 0; x < mask.size.width; ++x) pixels[x] = row[x / 64] >> (x % 64) & 1;
  });
  return mask;
}

float StabilityScore(LogitsView logits, const ImageGeometry& geometry, float offset) {
  const int64_t loose = AreaAbove(logits, geometry, -offset);
  if (loose == 0) return 0.0f;
  return static_cast<float>(AreaAbove(logits, geometry, offset)) / static_cast<float>(loose);
}

std::vector<float> UpsampleLogits(LogitsView logits, const ImageGeometry& geometry) {
  BilinearRows rows(logits, geometry.padded, geometry.network.width);
  std::vector<float> out;
  out.reserve(static_cast<size_t>(geometry.network.area()));
  for (int y = 0; y < geometry.network.height; ++y) {
    const std::span<const float> row = rows.Row(y);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

}  // namespace semsam
