// The decoder and its heads (paper, section 3.2; parity notes, section 2). One set of
// weights serves prompts, each `tokens` queries, one a granularity level, and
// generic queries that words chose from the image (parity/vocab notes, section 4).
#ifndef SEMSAM_MODEL_NET_DECODER_H_
#define SEMSAM_MODEL_NET_DECODER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/net/additions.h"
#include "model/net/layers.h"
#include "model/net/tensor_map.h"
#include "model/ops/deformable_attention.h"
#include "model/ops/linear.h"

namespace semsam {

struct DecoderInput {
  // Distinct memories, level order 1/64 to 1/8; all with the same levels.
  absl::Span<const ops::PyramidMemory> images;
  // Decoder::ProjectValues of each image, undefined where its raw memory is to be
  // sampled; or empty: nothing is projected.
  std::vector<at::Tensor> projected_values;
  std::vector<int> image_of_prompt;  // [P]
  at::Tensor boxes;                  // [P, 4] cx, cy, w, h relative to the padded image
  at::Tensor point_or_box;           // [P] int64, rows of the point-or-box embedding
  // Prompts that attend to each other: 1 isolates every prompt, otherwise a
  // divisor of P; groups are consecutive prompts.
  int64_t prompts_per_group = 1;
};

// Queries as the layers see them, whatever they came from.
struct QueryInput {
  // As in DecoderInput.
  absl::Span<const ops::PyramidMemory> images;
  std::vector<at::Tensor> projected_values;
  std::vector<int> image_of_query;  // [Q]
  at::Tensor content;               // [Q, C]
  at::Tensor references;            // [Q, 4] cx, cy, w, h in 0..1
  int64_t queries_per_group = 1;    // as prompts_per_group
};

// One output of a layer, as the heads read it. Published: the decoder norms its
// output, and the class, mask and IoU heads norm it again with the same weights.
struct NormedQueries {
  at::Tensor once;   // [Q, C]
  at::Tensor twice;  // [Q, C]
};

struct DecoderOutput {
  at::Tensor raw;      // [Q, C]: last layer, no norm. Prompts: Q = P * tokens, prompt-major
  at::Tensor queries;  // [Q, C] twice normed: what every head reads, with one exception:
  // The published code refines the boxes of prompts by `queries`, and those of generic
  // queries by the tokens normed once, [Q, C]. (Models with pooled features have a
  // second: SemanticSam::LabelQueries.)
  at::Tensor normed_once;
  // Box that went into the last layer, [Q, 4]: predicted boxes refine it.
  at::Tensor last_reference;
  // Only if every layer was asked for: boxes before the first and after each
  // layer [L + 1][Q, 4], and the normed outputs of each layer [L].
  std::vector<at::Tensor> references;
  std::vector<NormedQueries> layers;
};

// Thread-safe: nothing changes after construction.
class Decoder {
 public:
  Decoder(const ModelConfig& config, const TensorMap& weights, const Dense& mask_projection,
          ops::Path path);

  // `every_layer` also fills references and layers (training, comparison).
  // Hooked outputs, [Q, ...]: "dec_layer0_query_sine", "dec_layer0_query_pos",
  // "dec_layer0_selfattn", "dec_layer0_crossattn", "dec_layer0" and so on.
  DecoderOutput Forward(const DecoderInput& input, bool every_layer = false,
                        const ForwardHook& hook = nullptr) const;
  // The same of queries that are there already. A row depends on its own group
  // alone.
  DecoderOutput Forward(const QueryInput& input, bool every_layer = false,
                        const ForwardHook& hook = nullptr) const;

  // The memory [T, C] of an image as each layer's values, [layers, T, C]: faster
  // than raw memory from a few hundred prompts an image on.
  at::Tensor ProjectValues(const at::Tensor& memory) const;

  // The norm of the heads, once: [N, C] -> [N, C].
  at::Tensor Norm(const at::Tensor& queries) const;
  // The box head alone, [N, C] -> [N, 4] logits.
  at::Tensor BoxDeltas(const at::Tensor& queries) const;

  // Heads; queries [N, C] rows of DecoderOutput::queries, or of
  // SemanticSam::LabelQueries for the IoUs. These only of a model that takes prompts.
  at::Tensor PredictIous(const at::Tensor& queries) const;  // [N], raw
  // cx, cy, w, h relative to the padded image, [N, 4]; for generic queries with rows
  // of DecoderOutput::normed_once.
  at::Tensor PredictBoxes(const at::Tensor& queries, const at::Tensor& references) const;
  // Mask embeddings [N, C] against mask features [.., C] as published.
  at::Tensor MaskEmbeddings(const at::Tensor& queries) const;
  // The same with the mask projection folded in (performance notes, rewrite 2):
  // [N, C + 1]; logit = <e[:C], mask_map> + e[C].
  at::Tensor FoldedMaskEmbeddings(const at::Tensor& queries) const;

 private:
  struct Mlp {
    std::vector<ops::Linear> layers;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Layer {
    ops::Linear query_key;  // [2C, C]
    ops::Linear value;      // [C, C]
    ops::Linear self_output;
    ops::LayerNorm norm2;
    ops::Linear sampling;  // offsets and attention logits, one product
    ops::ValueProjection memory_value;
    ops::Linear cross_output;
    ops::LayerNorm norm1;
    ops::Linear expand;
    ops::Linear contract;
    ops::LayerNorm norm3;
  };

  Mlp LoadMlp(const TensorMap& weights, const std::string& prefix, int layers) const;
  Layer LoadLayer(const TensorMap& weights, const std::string& prefix) const;
  at::Tensor InitialTokens(const DecoderInput& input) const;
  at::Tensor RunLayer(const Layer& layer, const QueryInput& input, const at::Tensor& tokens,
                      const at::Tensor& references, int index, const ForwardHook& hook) const;
  NormedQueries NormTwice(const at::Tensor& raw) const;
  at::Tensor RefineBoxes(const at::Tensor& queries, const at::Tensor& references) const;

  int64_t channels_;
  DecoderConfig config_;
  ops::Path path_;
  // Prompts alone, undefined without them:
  at::Tensor label_embedding_;         // [1, 1, C]
  at::Tensor point_or_box_embedding_;  // [2, C]
  at::Tensor mask_tokens_;             // [tokens, C]
  Mlp iou_head_;
  std::optional<ClickFeatures> click_features_;
  // All queries:
  at::Tensor sine_periods_;  // [C / 4]: 10000^(2i / (C / 2))
  Mlp query_position_;
  std::vector<Layer> layers_;
  ops::LayerNorm norm_;
  Mlp box_head_;
  Mlp mask_head_;
  ops::Linear folded_projection_;  // [C + 1, M]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_DECODER_H_
