// The text encoder (CLIP's: Radford et al. 2021; parity notes, section 5): token
// ids to text embeddings.
#ifndef SEMSAM_MODEL_NET_TEXT_ENCODER_H_
#define SEMSAM_MODEL_NET_TEXT_ENCODER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/net/layers.h"
#include "model/net/tensor_map.h"
#include "model/ops/layer_norm.h"
#include "model/ops/linear.h"
#include "model/text/prefix_tree.h"

namespace semsam {

// Thread-safe: nothing changes after construction.
//
// On a CPU the native path runs the sequences as a tree of their beginnings: each
// distinct beginning once, no padding, the last layer for the ends alone. That is
// exact, because attention is causal, and for the 81 phrases of a word a fifth of
// the work. A row then depends on its sequence alone, bit for bit. Elsewhere the
// sequences run as one padded batch, as published; on ops::Path::kTraining it is
// differentiable, as long as its longest sequence, and float32 or float64.
class TextEncoder {
 public:
  TextEncoder(const TextConfig& config, const TensorMap& weights, ops::Path path);

  // Sequences as Tokenizer::Encode gives them for the model's context, at most that
  // long -> [sequences, text_dim], not normalised; read at the first Tokenizer::kEnd.
  // Memory is bounded: many sequences run in parts, but for training, whose backward
  // pass needs them all.
  //
  // Hooked outputs, a part at a time: "text_layer0" and so on, "text_last_hidden".
  // Native: [nodes, width] in the order of the tree, of the last layer and the last
  // hidden state the ends alone. Reference: [sequences, context, width]. Training:
  // [sequences, longest, width], of the last layer and the last hidden state the ends
  // alone, [sequences, width].
  at::Tensor Forward(absl::Span<const std::vector<int32_t>> sequences,
                     const ForwardHook& hook = nullptr) const;

  int context() const { return config_.context; }
  int64_t text_dim() const { return projection_.out_features(); }

 private:
  struct Layer {
    ops::LayerNorm norm1;
    ops::Linear qkv;  // [3C, C]
    ops::Linear output;
    ops::LayerNorm norm2;
    ops::Linear expand;
    ops::Linear contract;
  };

  Layer LoadLayer(const TensorMap& weights, const std::string& prefix) const;
  bool UsesTree() const { return ops::UseCpuKernel(path_, tokens_); }
  // ids [N] -> [N, C]
  at::Tensor EmbedTokens(const at::Tensor& ids) const;
  // x [..., C], attended the same.
  at::Tensor FinishLayer(const Layer& layer, const at::Tensor& x, const at::Tensor& attended) const;
  at::Tensor ForwardTree(const PrefixTree& tree, const ForwardHook& hook) const;
  int64_t PaddedLength(absl::Span<const std::vector<int32_t>> sequences) const;
  at::Tensor ForwardPadded(absl::Span<const std::vector<int32_t>> sequences,
                           const ForwardHook& hook) const;

  TextConfig config_;
  ops::Path path_;
  at::Tensor tokens_;         // [vocabulary, C or token_rank]
  ops::Linear widen_tokens_;  // [C, token_rank]; empty without TextConfig::token_rank
  at::Tensor positions_;      // [context, C]
  std::vector<Layer> layers_;
  ops::LayerNorm final_norm_;
  ops::Linear projection_;  // [text_dim, C]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_TEXT_ENCODER_H_
