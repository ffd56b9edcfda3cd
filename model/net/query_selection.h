// Generic queries: which places of the image look most like the words (OpenSeeD and
// MaskDINO two-stage selection; parity/vocab notes, section 3).
#ifndef SEMSAM_MODEL_NET_QUERY_SELECTION_H_
#define SEMSAM_MODEL_NET_QUERY_SELECTION_H_

#include "model/base/model_config.h"
#include "model/net/class_heads.h"
#include "model/net/decoder.h"
#include "model/net/layers.h"
#include "model/net/tensor_map.h"
#include "model/ops/deformable_attention.h"

namespace semsam {

// What the tokens of an image propose, whatever the words. Not kept with the
// embedding: `features` are as large as the embedding's own memory, and computing
// them takes a hundredth of what encoding the image takes.
struct TokenProposals {
  // [T] bool. Tokens whose box would touch the border of the image propose nothing.
  at::Tensor valid;
  at::Tensor boxes;     // [T, 4] cx, cy, w, h before the sigmoid; +inf if not valid
  at::Tensor memory;    // [T, C] rows of the image; 0 if not valid
  at::Tensor features;  // [T, C] what words are compared with and queries start from
};

// The chosen queries by falling score, ties by token, then the learned ones.
struct SelectedQueries {
  at::Tensor scores;      // [T] largest class logit of every token; -inf if not valid
  at::Tensor tokens;      // [K] int64, the chosen ones
  at::Tensor content;     // [K + learned, C]
  at::Tensor references;  // [K + learned, 4] cx, cy, w, h in 0..1, padded image
  // Of the chosen ones again. Published: the decoder trains neither what chose its
  // queries nor what it starts them from; losses of the proposals do, through these.
  at::Tensor proposed_content;     // [K, C]
  at::Tensor proposed_references;  // [K, 4]
};

// Thread-safe: nothing changes after construction.
class QuerySelection {
 public:
  // `config` has a vocabulary.
  QuerySelection(const ModelConfig& config, const TensorMap& weights, ops::Path path);

  TokenProposals Propose(const ops::PyramidMemory& image) const;

  // The `queries` best tokens for `text` [M, D], fewer where the image has fewer
  // valid ones (the published code fails then). The box head is that of `decoder`.
  SelectedQueries Select(const TokenProposals& proposals, const ClassHeads& heads, LabelHead head,
                         const at::Tensor& text, const Decoder& decoder, int64_t queries) const;

 private:
  ops::Path path_;
  Dense output_;  // [C, C]
  ops::LayerNorm norm_;
  at::Tensor learned_content_;  // [learned, C], undefined without
  at::Tensor learned_boxes_;    // [learned, 4] in 0..1
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_QUERY_SELECTION_H_
