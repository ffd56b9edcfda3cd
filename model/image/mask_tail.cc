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

constexpr int kWordBits = 64;

bool IsQuad(LogitsView logits, const ImageGeometry& geometry) {
  return geometry.padded.width == 4 * logits.size.width &&
         geometry.padded.height == 4 * logits.size.height;
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

// The bicubic resize to the original size, thresholded at 0, in words of 64 output
// pixels. A word for which the logits around it leave no doubt is filled at once;
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
        answers_(RowWords(width_)),
        values_(kWordBits) {
    // Weights add up to 1, so with neg the sum of the negative ones a value v of
    // samples in [low, high] is at least low - neg * (high - low).
    const float nx = x_axis_.negative;
    const float ny = y_axis_.negative;
    overshoot_ = nx * (1 + ny) + ny * (1 + nx);
    for (Slot& slot : slots_) {
      slot.values.resize(width_);
      slot.done.resize(answers_.size());
    }
    FindRanges();
  }

  void Row(int y, std::span<uint64_t> bits) {
    const int begin = y_axis_.first[y];
    const int count = y_axis_.count[y];
    Decide(network_rows_.y_axis().index0[begin], network_rows_.y_axis().index1[begin + count - 1]);
    for (size_t word = 0; word < bits.size(); ++word) {
      switch (answers_[word]) {
        case Answer::kOutside:
          bits[word] = 0;
          break;
        case Answer::kInside:
          bits[word] = WordMask(word);
          break;
        case Answer::kMixed:
          bits[word] = Interpolate(y, word);
          break;
      }
    }
  }

 private:
  enum class Answer : uint8_t { kOutside, kInside, kMixed };
  struct Range {
    float low = std::numeric_limits<float>::infinity();
    float high = -std::numeric_limits<float>::infinity();
  };
  // A network row and what of it has been resized along x.
  struct Slot {
    int network_row = -1;
    std::vector<float> network;
    std::vector<float> values;  // [original width]
    std::vector<uint8_t> done;  // a word
  };

  int WordBegin(size_t word) const { return static_cast<int>(word) * kWordBits; }
  int WordEnd(size_t word) const { return std::min(WordBegin(word) + kWordBits, width_); }
  uint64_t WordMask(size_t word) const {
    return ~uint64_t{0} >> (kWordBits - (WordEnd(word) - WordBegin(word)));
  }

  // Least and greatest logit that each word can see, a grid row.
  void FindRanges() {
    const size_t words = answers_.size();
    const BilinearAxis& grid_axis = network_rows_.x_axis();
    ranges_.resize(words * logits_.size.height);
    for (size_t word = 0; word < words; ++word) {
      const int last = WordEnd(word) - 1;
      const int left = grid_axis.index0[x_axis_.first[WordBegin(word)]];
      const int right = grid_axis.index1[x_axis_.first[last] + x_axis_.count[last] - 1];
      for (int g = 0; g < logits_.size.height; ++g) {
        Range& range = ranges_[g * words + word];
        for (int x = left; x <= right; ++x) {
          range.low = std::min(range.low, logits_.at(g, x));
          range.high = std::max(range.high, logits_.at(g, x));
        }
      }
    }
  }

  // Which words of output rows that see grid rows [top, bottom] need arithmetic.
  // Many rows in a row see the same ones.
  void Decide(int top, int bottom) {
    if (decided_ == std::pair(top, bottom)) return;
    decided_ = {top, bottom};
    const size_t words = answers_.size();
    for (size_t word = 0; word < words; ++word) {
      Range range;
      for (int g = top; g <= bottom; ++g) {
        range.low = std::min(range.low, ranges_[g * words + word].low);
        range.high = std::max(range.high, ranges_[g * words + word].high);
      }
      const float slack = overshoot_ * (range.high - range.low) +
                          1e-5f * (std::fabs(range.low) + std::fabs(range.high));
      answers_[word] = range.low > slack     ? Answer::kInside
                       : range.high < -slack ? Answer::kOutside
                                             : Answer::kMixed;
    }
  }

  uint64_t Interpolate(int y, size_t word) {
    const int begin = WordBegin(word);
    const int count = y_axis_.count[y];
    rows_.clear();
    for (int t = 0; t < count; ++t) {
      rows_.push_back(Resized(y_axis_.first[y] + t, word).values.data() + begin);
    }
    const size_t pixels = WordEnd(word) - begin;
    CombineRows(rows_, y_axis_.weights.data() + static_cast<size_t>(y) * y_axis_.taps, pixels,
                values_.data());
    uint64_t bits = 0;
    ThresholdRow({values_.data(), pixels}, 0.0f, &bits);
    return bits;
  }

  // The slot of a network row, with `word` resized along x.
  const Slot& Resized(int network_row, size_t word) {
    Slot& slot = slots_[network_row % slots_.size()];
    if (slot.network_row != network_row) {
      const std::span<const float> row = network_rows_.Row(network_row);
      slot.network.assign(row.begin(), row.end());
      slot.network_row = network_row;
      std::fill(slot.done.begin(), slot.done.end(), 0);
    }
    if (!slot.done[word]) {
      for (int x = WordBegin(word); x < WordEnd(word); ++x) {
        const float* weights = x_axis_.weights.data() + static_cast<size_t>(x) * x_axis_.taps;
        const float* from = slot.network.data() + x_axis_.first[x];
        float sum = weights[0] * from[0];
        for (int t = 1; t < x_axis_.count[x]; ++t) sum += weights[t] * from[t];
        slot.values[x] = sum;
      }
      slot.done[word] = 1;
    }
    return slot;
  }

  LogitsView logits_;
  int width_;
  BilinearRows network_rows_;
  BicubicAxis x_axis_;
  BicubicAxis y_axis_;
  float overshoot_ = 0;
  std::vector<Slot> slots_;    // network row r lives in slot r % taps
  std::vector<Range> ranges_;  // [grid height, words]
  std::vector<Answer> answers_;
  std::pair<int, int> decided_ = {-1, -1};
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
