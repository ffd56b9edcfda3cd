#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <span>
#include <vector>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/tile_upsampler.h"
#include "model/image/vocabulary_checks.h"
#include "model/image/vocabulary_inference.h"
#include "model/image/vocabulary_kernels.h"

namespace semsam {
namespace {

struct QueryMask {
  RunLengths runs;
  int64_t area = 0;
  float score = 0;  // mean sigmoid over the mask
};

// The masks of queries, one at a time and a band of tiles of that.
class MaskMaker {
 public:
  MaskMaker(const VocabularyQueries& queries, ImageSize output)
      : queries_(queries),
        output_(output),
        tiles_(TilesOf(output)),
        upsampler_(queries.geometry, queries.grid, output),
        values_(static_cast<size_t>(kTileSize.area())),
        band_(RowWords(output.width) * kTileSize.height) {}

  QueryMask Make(int query) {
    const LogitsView logits = QueryLogits(queries_, query);
    RunLengthBuilder builder(output_);
    double sum = 0;
    QueryMask mask;
    for (const Tile& tile : tiles_) {
      if (tile.x0 == 0) std::fill(band_.begin(), band_.end(), 0);
      // Most of an image lies outside any one mask.
      if (upsampler_.Bounds(logits, tile).high > 0) sum += FillTile(logits, tile);
      if (tile.x1 == output_.width) mask.area += AddBand(tile.height(), builder);
    }
    mask.runs = builder.Finish();
    mask.score = static_cast<float>(sum / (static_cast<double>(mask.area) + 1e-6));
    return mask;
  }

 private:
  // Tiles are as wide as whole words.
  static_assert(kTileSize.width % 64 == 0);

  double FillTile(LogitsView logits, const Tile& tile) {
    upsampler_.Upsample(logits, tile, values_.data());
    double sum = 0;
    for (int y = 0; y < tile.height(); ++y) {
      sum += SumInside({values_.data() + static_cast<size_t>(y) * tile.width(),
                        static_cast<size_t>(tile.width())},
                       band_.data() + y * RowWords(output_.width) + tile.x0 / 64);
    }
    return sum;
  }

  // Returns how many pixels the band adds.
  int64_t AddBand(int rows, RunLengthBuilder& builder) const {
    const size_t words = RowWords(output_.width);
    int64_t area = 0;
    for (int y = 0; y < rows; ++y) {
      const std::span<const uint64_t> row(band_.data() + y * words, words);
      for (const uint64_t word : row) area += std::popcount(word);
      builder.AddRow(row);
    }
    return area;
  }

  const VocabularyQueries& queries_;
  ImageSize output_;
  std::vector<Tile> tiles_;
  TileUpsampler upsampler_;
  std::vector<float> values_;   // of a tile
  std::vector<uint64_t> band_;  // [tile height, row words]
};

absl::Status ValidateOptions(const VocabularyQueries& queries, const InstanceOptions& options) {
  SEMSAM_RETURN_IF_ERROR(ValidateOutput(options.output));
  if (options.top < 1) return InvalidField("top", "must be positive");
  if (options.instance_queries < 0 || options.instance_queries > queries.queries) {
    return InvalidField("instance_queries", "must be from 0 to the number of queries");
  }
  if (!options.keep_class.empty() &&
      options.keep_class.size() != static_cast<size_t>(queries.classes)) {
    return InvalidField("keep_class", "must have an entry a class, or none");
  }
  return absl::OkStatus();
}

// The (query, class) pairs to answer, by falling class score, equal ones in order.
std::vector<VocabularyInstance> TopPairs(const VocabularyQueries& queries,
                                         const InstanceOptions& options) {
  const int rows = options.instance_queries == 0 ? queries.queries : options.instance_queries;
  const std::vector<float> probabilities = ClassProbabilities(queries, rows);
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t top = std::min(order.size(), static_cast<size_t>(options.top));
  std::partial_sort(
      order.begin(), order.begin() + static_cast<ptrdiff_t>(top), order.end(),
      [&](size_t a, size_t b) {
        return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
      });
  order.resize(top);
  std::vector<VocabularyInstance> pairs;
  for (const size_t index : order) {
    const int word = static_cast<int>(index % static_cast<size_t>(queries.classes));
    if (!options.keep_class.empty() && !options.keep_class[word]) continue;
    pairs.push_back({.query = static_cast<int>(index / static_cast<size_t>(queries.classes)),
                     .word = word,
                     .class_score = probabilities[index],
                     .score = probabilities[index]});
  }
  return pairs;
}

void SetBox(const VocabularyQueries& queries, ImageSize output, VocabularyInstance& instance) {
  const ImageGeometry& geometry = queries.geometry;
  const float width = static_cast<float>(geometry.padded.width) /
                      static_cast<float>(geometry.network.width) * static_cast<float>(output.width);
  const float height = static_cast<float>(geometry.padded.height) /
                       static_cast<float>(geometry.network.height) *
                       static_cast<float>(output.height);
  const CenterBox& box = queries.boxes[instance.query];
  instance.x0 = (box.cx - 0.5f * box.w) * width;
  instance.y0 = (box.cy - 0.5f * box.h) * height;
  instance.x1 = (box.cx + 0.5f * box.w) * width;
  instance.y1 = (box.cy + 0.5f * box.h) * height;
}

}  // namespace

absl::StatusOr<std::vector<VocabularyInstance>> InferInstances(
    const VocabularyQueries& queries, const InstanceOptions& options,
    const std::function<bool()>& cancelled) {
  SEMSAM_RETURN_IF_ERROR(ValidateQueries(queries));
  SEMSAM_RETURN_IF_ERROR(ValidateOptions(queries, options));
  SEMSAM_RETURN_IF_ERROR(CheckCancelled(cancelled));
  std::vector<VocabularyInstance> instances = TopPairs(queries, options);
  for (VocabularyInstance& instance : instances) SetBox(queries, options.output, instance);
  if (options.masks) {
    // A query that stands in the list with several classes has one mask.
    std::map<int, std::vector<VocabularyInstance*>> by_query;
    for (VocabularyInstance& instance : instances) by_query[instance.query].push_back(&instance);
    MaskMaker maker(queries, options.output);
    for (const auto& [query, users] : by_query) {
      SEMSAM_RETURN_IF_ERROR(CheckCancelled(cancelled));
      const QueryMask mask = maker.Make(query);
      for (VocabularyInstance* user : users) {
        user->mask = mask.runs;
        user->area = mask.area;
        user->mask_score = mask.score;
        user->score = user->class_score * mask.score;
      }
    }
  }
  std::stable_sort(
      instances.begin(), instances.end(),
      [](const VocabularyInstance& a, const VocabularyInstance& b) { return a.score > b.score; });
  return instances;
}

}  // namespace semsam
