#include <algorithm>
#include <iterator>
#include <span>
#include <vector>

#include "model/base/status_macros.h"
#include "model/image/tile_upsampler.h"
#include "model/image/vocabulary_checks.h"
#include "model/image/vocabulary_inference.h"
#include "model/image/vocabulary_kernels.h"

namespace semsam {
namespace {

size_t Blocks(int columns) {
  return (static_cast<size_t>(columns) + kSumColumns - 1) / kSumColumns;
}

// How much each query speaks for each class, [Q, C].
std::vector<float> ClassWeights(const VocabularyQueries& queries, const SemanticOptions& options) {
  std::vector<float> weights = ClassProbabilities(queries, queries.queries);
  if (!options.softmax) return weights;
  const auto classes = static_cast<size_t>(queries.classes);
  for (size_t begin = 0; begin < weights.size(); begin += classes) {
    SharpenProbabilities({weights.data() + begin, classes}, options.temperature);
  }
  return weights;
}

// The sigmoid maps of all queries in a tile, in the order of WeightedSums: blocks of
// kSumColumns pixels of a row, [blocks, Q, kSumColumns].
class SigmoidTile {
 public:
  SigmoidTile(const VocabularyQueries& queries, ImageSize output)
      : queries_(queries), upsampler_(queries.geometry, queries.grid, output) {}

  // The most of `tile` that fits half of kMaxStripBytes with all queries, one row at
  // least.
  static ImageSize Fit(ImageSize tile, int queries) {
    const int64_t row_bytes = int64_t{queries} * tile.width * sizeof(float);
    const int64_t rows = std::max<int64_t>(1, kMaxStripBytes / 2 / row_bytes);
    return {.height = static_cast<int>(std::min<int64_t>(rows, tile.height)), .width = tile.width};
  }

  void Load(const Tile& tile) {
    const auto queries = static_cast<size_t>(queries_.queries);
    const auto width = static_cast<size_t>(tile.width());
    row_blocks_ = Blocks(tile.width());
    values_.resize(row_blocks_ * tile.height() * queries * kSumColumns);
    logits_.resize(static_cast<size_t>(tile.area()));
    for (size_t query = 0; query < queries; ++query) {
      upsampler_.Upsample(QueryLogits(queries_, static_cast<int>(query)), tile, logits_.data());
      Sigmoid({logits_.data(), logits_.size()});
      for (size_t block = 0; block < row_blocks_ * tile.height(); ++block) {
        const size_t x = block % row_blocks_ * kSumColumns;
        const size_t count = std::min(kSumColumns, width - x);
        float* to = values_.data() + (block * queries + query) * kSumColumns;
        const float* from = logits_.data() + block / row_blocks_ * width + x;
        std::copy_n(from, count, to);
        // The last of a row once more: no new extreme, see Rivals.
        std::fill(to + count, to + kSumColumns, from[count - 1]);
      }
    }
  }

  size_t row_blocks() const { return row_blocks_; }
  // [Q, kSumColumns]
  const float* block(int row, size_t block) const {
    return values_.data() + (row * row_blocks_ + block) * queries_.queries * kSumColumns;
  }

 private:
  const VocabularyQueries& queries_;
  TileUpsampler upsampler_;
  size_t row_blocks_ = 0;
  std::vector<float> values_;
  std::vector<float> logits_;  // of a tile
};

// Some classes' weights in the order of WeightedSums: [panels, Q, kSumRows].
class ClassPanels {
 public:
  // `weights` [Q, C].
  void Pack(const std::vector<float>& weights, int queries, std::span<const int> classes) {
    classes_ = classes.size();
    const size_t all = weights.size() / static_cast<size_t>(queries);
    const size_t panels = (classes_ + kSumRows - 1) / kSumRows;
    panel_size_ = static_cast<size_t>(queries) * kSumRows;
    values_.assign(panels * panel_size_, 0.0f);
    for (size_t i = 0; i < classes_; ++i) {
      float* to = values_.data() + i / kSumRows * panel_size_ + i % kSumRows;
      for (int q = 0; q < queries; ++q) to[q * kSumRows] = weights[q * all + classes[i]];
    }
  }

  // Calls visit(i, sums [kSumColumns]) for the i-th of the classes in turn, with its
  // scores of a block.
  template <typename Visit>
  void ForEachClass(const float* block, const Visit& visit) const {
    float sums[kSumRows * kSumColumns];
    const size_t depth = panel_size_ / kSumRows;
    for (size_t first = 0; first < classes_; first += kSumRows) {
      WeightedSums(values_.data() + first / kSumRows * panel_size_, block, depth, sums);
      for (size_t r = 0; r < std::min(kSumRows, classes_ - first); ++r) {
        visit(first + r, sums + r * kSumColumns);
      }
    }
  }

 private:
  size_t classes_ = 0;
  size_t panel_size_ = 0;
  std::vector<float> values_;
};

std::vector<int> AllClasses(int classes) {
  std::vector<int> all(classes);
  for (int c = 0; c < classes; ++c) all[c] = c;
  return all;
}

absl::Status ValidateAll(const VocabularyQueries& queries, const SemanticOptions& options,
                         const std::function<bool()>& cancelled) {
  SEMSAM_RETURN_IF_ERROR(ValidateQueries(queries));
  SEMSAM_RETURN_IF_ERROR(ValidateOutput(options.output));
  SEMSAM_RETURN_IF_ERROR(ValidateTemperature(options.temperature));
  return CheckCancelled(cancelled);
}

// Which classes can have the largest score somewhere among some pixels. A class whose
// score stays below that of the leader, whatever values between their extremes the
// queries take, needs no arithmetic a pixel; scores of those that remain do not
// change by that.
class Rivals {
 public:
  Rivals(const std::vector<float>& weights, int queries, int classes)
      : weights_(weights),
        queries_(queries),
        classes_(classes),
        low_(queries * kSumColumns),
        high_(queries * kSumColumns),
        scores_(classes) {}

  // What the rivals of the next Find can be told of: the range of a query's values.
  void SetRange(int query, float low, float high) {
    low_[query] = low;
    high_[query] = high;
  }

  // The same from the values themselves: BeginBlocks, AddBlock for each, EndBlocks.
  void BeginBlocks() {
    std::fill(low_.begin(), low_.end(), 1.0f);
    std::fill(high_.begin(), high_.end(), 0.0f);
  }

  // block [Q, kSumColumns]
  void AddBlock(const float* block) {
    for (size_t i = 0; i < low_.size(); ++i) {
      low_[i] = block[i] < low_[i] ? block[i] : low_[i];
      high_[i] = block[i] > high_[i] ? block[i] : high_[i];
    }
  }

  void EndBlocks() {
    for (int q = 0; q < queries_; ++q) {
      const auto lane = static_cast<ptrdiff_t>(q * kSumColumns);
      const auto end = lane + static_cast<ptrdiff_t>(kSumColumns);
      low_[q] = *std::min_element(low_.begin() + lane, low_.begin() + end);
      high_[q] = *std::max_element(high_.begin() + lane, high_.begin() + end);
    }
  }

  // In ascending order; never empty.
  const std::vector<int>& Find() {
    const int leader = Leader();
    std::fill(scores_.begin(), scores_.end(), 0.0f);
    float most = 0;  // of the leader
    for (int q = 0; q < queries_; ++q) {
      AddAdvantages(Row(q), Row(q)[leader], low_[q], high_[q], scores_);
      most += Row(q)[leader] * high_[q];
    }
    // Both sums are rounded at every step, this one and those of the pixels.
    const float slack = 5e-7f * static_cast<float>(queries_) * (most + 1e-30f);
    found_.clear();
    for (int c = 0; c < classes_; ++c) {
      if (c == leader || !(scores_[c] < -slack)) found_.push_back(c);
    }
    return found_;
  }

 private:
  const float* Row(int query) const {
    return weights_.data() + static_cast<size_t>(query) * classes_;
  }

  // The class with the largest score in the middle of the extremes.
  int Leader() {
    std::fill(scores_.begin(), scores_.end(), 0.0f);
    for (int q = 0; q < queries_; ++q) AddScaled(Row(q), 0.5f * (low_[q] + high_[q]), scores_);
    return static_cast<int>(std::max_element(scores_.begin(), scores_.end()) - scores_.begin());
  }

  const std::vector<float>& weights_;
  int queries_;
  int classes_;
  // Least and greatest value, [Q, kSumColumns]; once all are in, the first [Q] hold
  // those of a query.
  std::vector<float> low_;
  std::vector<float> high_;
  std::vector<float> scores_;
  std::vector<int> found_;
};

// The classes of the pixels of a tile.
class Classifier {
 public:
  Classifier(const VocabularyQueries& queries, const SemanticOptions& options)
      : queries_(queries),
        output_(options.output),
        weights_(ClassWeights(queries, options)),
        upsampler_(queries.geometry, queries.grid, options.output),
        sigmoids_(queries, options.output),
        rivals_(weights_, queries.queries, queries.classes) {}

  void Run(const Tile& tile, std::vector<int32_t>& map) {
    if (const std::vector<int>& classes = RivalsByGrid(tile); classes.size() == 1) {
      for (int row = 0; row < tile.height(); ++row) {
        std::fill_n(Pixels(tile, row, 0, map), tile.width(), classes[0]);
      }
      return;
    }
    sigmoids_.Load(tile);
    const std::vector<int>& classes = RivalsByPixels(tile);
    panels_.Pack(weights_, queries_.queries, classes);
    for (int row = 0; row < tile.height(); ++row) {
      for (size_t b = 0; b < sigmoids_.row_blocks(); ++b) {
        const int x = static_cast<int>(b * kSumColumns);
        Classify(sigmoids_.block(row, b), classes, Pixels(tile, row, x, map),
                 std::min(static_cast<int>(kSumColumns), tile.width() - x));
      }
    }
  }

 private:
  int32_t* Pixels(const Tile& tile, int row, int x, std::vector<int32_t>& map) const {
    return map.data() + static_cast<ptrdiff_t>(tile.y0 + row) * output_.width + tile.x0 + x;
  }

  const std::vector<int>& RivalsByGrid(const Tile& tile) {
    for (int q = 0; q < queries_.queries; ++q) {
      const TileUpsampler::Range range = upsampler_.Bounds(QueryLogits(queries_, q), tile);
      float values[] = {range.low, range.high};
      Sigmoid(values);
      rivals_.SetRange(q, values[0], values[1]);
    }
    return rivals_.Find();
  }

  const std::vector<int>& RivalsByPixels(const Tile& tile) {
    rivals_.BeginBlocks();
    for (int row = 0; row < tile.height(); ++row) {
      for (size_t b = 0; b < sigmoids_.row_blocks(); ++b) {
        rivals_.AddBlock(sigmoids_.block(row, b));
      }
    }
    rivals_.EndBlocks();
    return rivals_.Find();
  }

  // The first of the classes with the largest score.
  void Classify(const float* block, const std::vector<int>& classes, int32_t* to, int count) const {
    float best[kSumColumns];
    int32_t best_class[kSumColumns] = {};
    std::fill(std::begin(best), std::end(best), -1.0f);
    panels_.ForEachClass(block, [&](size_t i, const float* scores) {
      for (size_t x = 0; x < kSumColumns; ++x) {
        const bool better = scores[x] > best[x];
        best[x] = better ? scores[x] : best[x];
        best_class[x] = better ? classes[i] : best_class[x];
      }
    });
    std::copy_n(best_class, count, to);
  }

  const VocabularyQueries& queries_;
  ImageSize output_;
  std::vector<float> weights_;  // [Q, C]
  TileUpsampler upsampler_;
  SigmoidTile sigmoids_;
  Rivals rivals_;
  ClassPanels panels_;
};

}  // namespace

absl::Status InferSemantic(const VocabularyQueries& queries, const SemanticOptions& options,
                           const SemanticStrip& strip, const std::function<bool()>& cancelled) {
  SEMSAM_RETURN_IF_ERROR(ValidateAll(queries, options, cancelled));
  ClassPanels panels;
  panels.Pack(ClassWeights(queries, options), queries.queries, AllClasses(queries.classes));
  SigmoidTile sigmoids(queries, options.output);
  const int64_t row_bytes = int64_t{queries.classes} * options.output.width * sizeof(float);
  ImageSize tile_size = SigmoidTile::Fit(kTileSize, queries.queries);
  tile_size.height =
      static_cast<int>(std::clamp<int64_t>(kMaxStripBytes / 2 / row_bytes, 1, tile_size.height));
  std::vector<float> scores;
  for (const Tile& tile : TilesOf(options.output, tile_size)) {
    SEMSAM_RETURN_IF_ERROR(CheckCancelled(cancelled));
    const size_t plane = static_cast<size_t>(tile.height()) * options.output.width;
    if (tile.x0 == 0) scores.resize(plane * queries.classes);
    sigmoids.Load(tile);
    for (int row = 0; row < tile.height(); ++row) {
      for (size_t b = 0; b < sigmoids.row_blocks(); ++b) {
        const size_t x = b * kSumColumns;
        float* to = scores.data() + static_cast<size_t>(row) * options.output.width + tile.x0 + x;
        const size_t count = std::min(kSumColumns, static_cast<size_t>(tile.width()) - x);
        panels.ForEachClass(sigmoids.block(row, b), [&](size_t c, const float* sums) {
          std::copy_n(sums, count, to + c * plane);
        });
      }
    }
    if (tile.x1 == options.output.width) strip(tile.y0, tile.height(), scores);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int32_t>> InferSemanticMap(const VocabularyQueries& queries,
                                                      const SemanticOptions& options,
                                                      const std::function<bool()>& cancelled) {
  SEMSAM_RETURN_IF_ERROR(ValidateAll(queries, options, cancelled));
  std::vector<int32_t> map(static_cast<size_t>(options.output.area()));
  Classifier classifier(queries, options);
  // Small enough that most see one class alone.
  constexpr ImageSize kCell = {.height = 16, .width = 32};
  for (const Tile& tile : TilesOf(options.output, SigmoidTile::Fit(kCell, queries.queries))) {
    SEMSAM_RETURN_IF_ERROR(CheckCancelled(cancelled));
    classifier.Run(tile, map);
  }
  return map;
}

}  // namespace semsam
