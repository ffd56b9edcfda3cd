#include "model/tools/bench/everything.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/image/mask_generator.h"
#include "model/net/prompt_tensors.h"
#include "model/tools/bench/flop.h"
#include "model/tools/bench/side.h"

namespace semsam::bench {
namespace {

constexpr int kIsolatedChunk = 64;
constexpr int kJointChunk = 200;  // as published

// How a grid is decoded.
struct Manner {
  int chunk = 0;  // points at a time
  bool joint = false;
  bool project = false;      // the values once, before all
  bool every_layer = false;  // masks and scores after each
};

struct Grid {
  ImageSize image;
  std::vector<Prompt> points;
};

// What is compared: predicted IoUs, and the areas of the masks on the model's grid.
struct Outcome {
  at::Tensor ious;   // [N]
  at::Tensor areas;  // [N]
};

Outcome Decode(const Side& side, const Grid& grid, const Manner& manner) {
  const SemanticSam& network = *side.model.network;
  const ImageFeatures& features = side.features.front();
  const std::vector<ops::PyramidMemory> memories = {features.memory};
  std::vector<at::Tensor> values;
  if (manner.project) values.push_back(network.decoder().ProjectValues(features.memory.memory));
  const ImageSize padded = PaddedSize(network.config(), grid.image);
  std::vector<at::Tensor> ious, areas;
  for (size_t first = 0; first < grid.points.size(); first += manner.chunk) {
    const size_t count = std::min(static_cast<size_t>(manner.chunk), grid.points.size() - first);
    const absl::Span<const Prompt> chunk(grid.points.data() + first, count);
    const DecoderInput input = {
        .images = memories,
        .projected_values = values,
        .image_of_prompt = std::vector<int>(count, 0),
        .boxes = PromptBoxes(chunk, grid.image, padded),
        .point_or_box = PromptRows(chunk),
        .prompts_per_group = manner.joint ? static_cast<int64_t>(count) : 1};
    const DecoderOutput output = network.decoder().Forward(input, manner.every_layer);
    const auto heads = [&](const at::Tensor& queries) -> Outcome {
      const at::Tensor logits = network.PredictMasks(queries, features, input.boxes.slice(1, 0, 2));
      const at::Tensor labels = network.LabelQueries(queries, logits, features);
      return {network.decoder().PredictIous(labels), (logits > 0).sum(1)};
    };
    for (size_t i = 0; i + 1 < output.layers.size(); ++i) heads(output.layers[i].twice);
    const Outcome last = heads(output.queries);
    ious.push_back(last.ious);
    areas.push_back(last.areas);
  }
  return {at::cat(ious), at::cat(areas)};
}

absl::Status Agree(const Outcome& ours, const Outcome& baseline) {
  const double iou = (ours.ious - baseline.ious).abs().max().item<double>();
  const double area = (ours.areas - baseline.areas).abs().max().item<double>();
  if (iou < 1e-3 && area < 20) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the two sides differ by ", iou, " in predicted IoU, by ",
                                          area, " in mask area"));
}

}  // namespace

absl::StatusOr<std::vector<Comparison>> RunEverything(
    const EverythingOptions& options, const std::function<void(const Comparison&)>& done) {
  SEMSAM_ASSIGN_OR_RETURN(const Side native,
                          MakeSide(options.weights, options.size, ops::Path::kNative));
  SEMSAM_ASSIGN_OR_RETURN(const Side reference,
                          MakeSide(options.weights, options.size, ops::Path::kReference));
  const ModelConfig& config = native.model.network->config();
  const Grid grid = {.image = {options.size, options.size},
                     .points = PointGrid(options.points_per_side, config.click_size)};
  const int points = static_cast<int>(grid.points.size());
  const ImageFeatures& features = native.features.front();
  const auto gflop = [&](int group) {
    return EverythingGflop(config, static_cast<double>(features.grid.area()),
                           static_cast<double>(features.memory.memory.size(0)), points, group);
  };
  std::vector<Comparison> rows;
  const auto compare = [&](const char* name, const Manner& ours, const Side& side,
                           const Manner& baseline) {
    Outcome outcomes[2];
    Comparison row = Compare(
        absl::StrCat(name, " x", points),
        {.blocks = options.blocks, .ours_runs = 1, .baseline_runs = 1},
        [&] { outcomes[0] = Decode(native, grid, ours); },
        [&] { outcomes[1] = Decode(side, grid, baseline); });
    row.gflop = gflop(ours.joint ? std::min(ours.chunk, points) : 1);
    done(row);
    std::printf("%-24s peak memory %.0f MB, baseline %.0f MB\n", "", row.ours_peak_mb,
                row.baseline_peak_mb);
    rows.push_back(std::move(row));
    return Agree(outcomes[0], outcomes[1]);
  };
  SEMSAM_RETURN_IF_ERROR(compare("isolated vs lazy", {.chunk = kIsolatedChunk, .project = true},
                                 native, {.chunk = kIsolatedChunk}));
  SEMSAM_RETURN_IF_ERROR(compare("joint vs published",
                                 {.chunk = kJointChunk, .joint = true, .project = true}, reference,
                                 {.chunk = kJointChunk, .joint = true, .every_layer = true}));
  return rows;
}

}  // namespace semsam::bench
