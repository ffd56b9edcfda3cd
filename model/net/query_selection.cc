#include "model/net/query_selection.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace semsam {
namespace {

constexpr char kPrefix[] = "sem_seg_head.predictor.";
// Sides of a proposal: this on the first level of the memory, twice as much on each
// further one. The first is the coarsest, so that the finest proposes the largest
// boxes; the published weights were trained so.
constexpr double kFirstSide = 0.05;
// A proposal is valid when every coordinate lies strictly between these.
constexpr double kLowest = 0.01;
constexpr double kHighest = 0.99;

// [T, 4] cx, cy, w, h in 0..1 of all tokens.
at::Tensor ProposeBoxes(const std::vector<ImageSize>& levels, const at::TensorOptions& options) {
  std::vector<at::Tensor> parts;
  double side = kFirstSide;
  for (const ImageSize& level : levels) {
    const int64_t height = level.height;
    const int64_t width = level.width;
    const at::Tensor y = (at::arange(height, options) + 0.5) / height;
    const at::Tensor x = (at::arange(width, options) + 0.5) / width;
    const at::Tensor sides = at::full({height, width}, side, options);
    parts.push_back(at::stack({x.unsqueeze(0).expand({height, width}),
                               y.unsqueeze(1).expand({height, width}), sides, sides},
                              -1)
                        .view({height * width, 4}));
    side *= 2;
  }
  return at::cat(parts);
}

}  // namespace

QuerySelection::QuerySelection(const ModelConfig& config, const TensorMap& weights, ops::Path path)
    : path_(path) {
  const std::string prefix = kPrefix;
  output_ = LoadDense(weights, prefix + "enc_output");
  norm_ = LoadLayerNorm(weights, prefix + "enc_output_norm");
  if (config.vocabulary->learned_queries > 0) {
    learned_content_ = weights.Get(prefix + "query_feat.weight");
    learned_boxes_ = weights.Get(prefix + "query_embed.weight").sigmoid();
  }
}

TokenProposals QuerySelection::Propose(const ops::PyramidMemory& image) const {
  TokenProposals proposals;
  const at::Tensor boxes = ProposeBoxes(image.levels, image.memory.options());
  proposals.valid = ((boxes > kLowest) & (boxes < kHighest)).all(-1);
  const at::Tensor invalid = proposals.valid.logical_not().unsqueeze(-1);
  proposals.boxes =
      (boxes / (1 - boxes)).log().masked_fill(invalid, std::numeric_limits<double>::infinity());
  proposals.memory = image.memory.masked_fill(invalid, 0);
  proposals.features = ops::AddLayerNorm(norm_, output_(proposals.memory), {}, path_);
  return proposals;
}

SelectedQueries QuerySelection::Select(const TokenProposals& proposals, const ClassHeads& heads,
                                       LabelHead head, const at::Tensor& text,
                                       const Decoder& decoder, int64_t queries) const {
  SelectedQueries selected;
  selected.scores =
      heads.MaxLogits(head, proposals.features, text)
          .masked_fill(proposals.valid.logical_not(), -std::numeric_limits<double>::infinity());
  const int64_t count = std::min(queries, proposals.valid.sum().item<int64_t>());
  // Stable: tokens of equal score have an order, whatever the machine.
  const auto [sorted, order] = at::sort(selected.scores, /*stable=*/true, /*dim=*/0,
                                        /*descending=*/true);
  selected.tokens = order.slice(0, 0, count);
  selected.proposed_content = proposals.features.index_select(0, selected.tokens);
  selected.proposed_references = (decoder.BoxDeltas(selected.proposed_content) +
                                  proposals.boxes.index_select(0, selected.tokens))
                                     .sigmoid();
  selected.content = selected.proposed_content.detach();
  selected.references = selected.proposed_references.detach();
  if (learned_content_.defined()) {
    selected.content = at::cat({selected.content, learned_content_});
    selected.references = at::cat({selected.references, learned_boxes_});
  }
  return selected;
}

}  // namespace semsam
