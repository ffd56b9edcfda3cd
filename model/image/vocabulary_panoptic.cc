#include <algorithm>
#include <cmath>
#include <vector>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/tile_upsampler.h"
#include "model/image/vocabulary_checks.h"
#include "model/image/vocabulary_inference.h"
#include "model/image/vocabulary_kernels.h"

namespace semsam {
namespace {

// A query whose best class score passes the threshold.
struct Kept {
  int query = 0;
  int word = 0;
  float score = 0;       // sigmoid of the class logit
  float weight = 0;      // what its sigmoid map is multiplied with
  int64_t won = 0;       // px where its product is the largest
  int64_t original = 0;  // px where its sigmoid is at least .5
  int64_t shared = 0;    // px of both
  int id = 0;            // of its segment; 0: passed over
};

absl::Status ValidateOptions(const VocabularyQueries& queries, const PanopticOptions& options) {
  SEMSAM_RETURN_IF_ERROR(ValidateOutput(options.output));
  SEMSAM_RETURN_IF_ERROR(ValidateShare(options.object_threshold, "object_threshold"));
  SEMSAM_RETURN_IF_ERROR(ValidateShare(options.overlap_threshold, "overlap_threshold"));
  SEMSAM_RETURN_IF_ERROR(ValidateTemperature(options.temperature));
  if (options.is_thing.size() != static_cast<size_t>(queries.classes)) {
    return InvalidField("is_thing", "must have an entry a class");
  }
  return absl::OkStatus();
}

std::vector<Kept> KeepQueries(const VocabularyQueries& queries, const PanopticOptions& options) {
  std::vector<float> probabilities = ClassProbabilities(queries, queries.queries);
  std::vector<Kept> kept;
  for (int query = 0; query < queries.queries; ++query) {
    const absl::Span<float> row(probabilities.data() + static_cast<size_t>(query) * queries.classes,
                                static_cast<size_t>(queries.classes));
    const auto best = std::max_element(row.begin(), row.end());
    const float score = *best;
    if (!(score > options.object_threshold)) continue;
    if (options.softmax) SharpenProbabilities(row, options.temperature);
    kept.push_back({.query = query,
                    .word = static_cast<int>(best - row.begin()),
                    .score = score,
                    .weight = *best});
  }
  return kept;
}

// Decides for every pixel which of the kept queries wins it, tile by tile.
class Contest {
 public:
  Contest(const VocabularyQueries& queries, ImageSize output, std::vector<Kept>& kept)
      : queries_(queries),
        output_(output),
        kept_(kept),
        upsampler_(queries.geometry, queries.grid, output),
        values_(static_cast<size_t>(kTileSize.area())),
        ranges_(kept.size()) {}

  // Counts what the queries win and writes Winners::winner into `map`.
  void Run(const Tile& tile, std::vector<int32_t>& map) {
    const auto area = static_cast<size_t>(tile.area());
    winners_.score.assign(area, -1.0f);
    winners_.winner.assign(area, 0);
    const float least = LeastToWin(tile);
    for (size_t k = 0; k < kept_.size(); ++k) Enter(k, tile, least);
    for (const int32_t winner : winners_.winner) {
      ++kept_[winner / 2].won;
      kept_[winner / 2].shared += winner % 2;
    }
    for (int y = 0; y < tile.height(); ++y) {
      std::copy_n(winners_.winner.begin() + static_cast<ptrdiff_t>(y) * tile.width(), tile.width(),
                  map.begin() + static_cast<ptrdiff_t>(tile.y0 + y) * output_.width + tile.x0);
    }
  }

 private:
  static float SigmoidOf(float x) { return 1.0f / (1.0f + std::exp(-x)); }

  // What some query reaches in every pixel of the tile, less a margin for rounding;
  // fills ranges_.
  float LeastToWin(const Tile& tile) {
    float least = 0;
    for (size_t k = 0; k < kept_.size(); ++k) {
      ranges_[k] = upsampler_.Bounds(QueryLogits(queries_, kept_[k].query), tile);
      least = std::max(least, kept_[k].weight * SigmoidOf(ranges_[k].low));
    }
    return least * (1.0f - 1e-5f);
  }

  void Enter(size_t k, const Tile& tile, float least) {
    // Sigmoids of logits next to 0 round to .5.
    constexpr float kClear = 1e-6f;
    Kept& kept = kept_[k];
    const TileUpsampler::Range& range = ranges_[k];
    const bool can_win = !(kept.weight * SigmoidOf(range.high) < least);
    // One that cannot win is only counted, where that needs a look at the pixels.
    if (!can_win && range.high < -kClear) return;
    if (!can_win && range.low > kClear) {
      kept.original += tile.area();
      return;
    }
    upsampler_.Upsample(QueryLogits(queries_, kept.query), tile, values_.data());
    kept.original += Compete({values_.data(), static_cast<size_t>(tile.area())}, kept.weight,
                             static_cast<int32_t>(k), winners_);
  }

  const VocabularyQueries& queries_;
  ImageSize output_;
  std::vector<Kept>& kept_;
  TileUpsampler upsampler_;
  std::vector<float> values_;                 // of a tile
  std::vector<TileUpsampler::Range> ranges_;  // of the kept queries in a tile
  Winners winners_;
};

// Which of the kept become segments, in query order; sets Kept::id.
std::vector<PanopticSegment> ChooseSegments(const PanopticOptions& options,
                                            std::vector<Kept>& kept) {
  std::vector<PanopticSegment> segments;
  std::vector<int> stuff(options.is_thing.size());  // id of a class, 0 = none yet
  for (Kept& query : kept) {
    if (query.won == 0 || query.original == 0 || query.shared == 0) continue;
    const double ratio = static_cast<double>(query.won) / static_cast<double>(query.original);
    if (static_cast<float>(ratio) < options.overlap_threshold) continue;
    const bool is_thing = options.is_thing[query.word];
    if (!is_thing && stuff[query.word] != 0) {
      query.id = stuff[query.word];
      continue;
    }
    query.id = static_cast<int>(segments.size()) + 1;
    if (!is_thing) stuff[query.word] = query.id;
    segments.push_back({.id = query.id,
                        .query = query.query,
                        .word = query.word,
                        .is_thing = is_thing,
                        .score = query.score});
  }
  return segments;
}

// Extreme pixels of a segment.
struct Extremes {
  int left, top, right, bottom;
};

// Turns winners into ids and measures the segments.
void Paint(const std::vector<Kept>& kept, PanopticMap& map) {
  std::vector<Extremes> extremes(map.segments.size(), {map.size.width, map.size.height, -1, -1});
  for (int y = 0; y < map.size.height; ++y) {
    int32_t* row = map.ids.data() + static_cast<size_t>(y) * map.size.width;
    for (int x = 0; x < map.size.width;) {
      const int32_t winner = row[x];
      const int32_t id = winner % 2 == 1 ? kept[winner / 2].id : 0;
      const int begin = x;
      for (; x < map.size.width && row[x] == winner; ++x) row[x] = id;
      if (id == 0) continue;
      map.segments[id - 1].area += x - begin;
      Extremes& e = extremes[id - 1];
      e = {std::min(e.left, begin), std::min(e.top, y), std::max(e.right, x - 1), y};
    }
  }
  for (size_t i = 0; i < extremes.size(); ++i) {
    const Extremes& e = extremes[i];
    map.segments[i].box = {
        .x = e.left, .y = e.top, .width = e.right - e.left + 1, .height = e.bottom - e.top + 1};
  }
}

}  // namespace

absl::StatusOr<PanopticMap> InferPanoptic(const VocabularyQueries& queries,
                                          const PanopticOptions& options,
                                          const std::function<bool()>& cancelled) {
  SEMSAM_RETURN_IF_ERROR(ValidateQueries(queries));
  SEMSAM_RETURN_IF_ERROR(ValidateOptions(queries, options));
  SEMSAM_RETURN_IF_ERROR(CheckCancelled(cancelled));
  PanopticMap map{.size = options.output};
  map.ids.resize(static_cast<size_t>(map.size.area()));
  std::vector<Kept> kept = KeepQueries(queries, options);
  if (kept.empty()) return map;
  Contest contest(queries, options.output, kept);
  for (const Tile& tile : TilesOf(options.output)) {
    SEMSAM_RETURN_IF_ERROR(CheckCancelled(cancelled));
    contest.Run(tile, map.ids);
  }
  map.segments = ChooseSegments(options, kept);
  Paint(kept, map);
  return map;
}

}  // namespace semsam
