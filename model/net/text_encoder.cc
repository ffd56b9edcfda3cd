#include "model/net/text_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "model/ops/prefix_attention.h"
#include "model/text/tokenizer.h"

namespace semsam {
namespace {

constexpr char kPrefix[] = "sem_seg_head.predictor.lang_encoder";
constexpr double kNormEpsilon = 1e-12;
// Tokens that run at once: about 90 MB of activations at width 512.
constexpr int64_t kMaxTokens = 4096;

// Ids up to the first end; nothing after it is read.
std::span<const int32_t> UpToEnd(const std::vector<int32_t>& ids) {
  const auto end = std::find(ids.begin(), ids.end(), Tokenizer::kEnd);
  return {ids.begin(), end == ids.end() ? end : end + 1};
}

at::Tensor AsTensor(const std::vector<int32_t>& values) {
  return at::tensor(at::ArrayRef<int32_t>(values), at::kInt);
}

}  // namespace

TextEncoder::TextEncoder(const TextConfig& config, const TensorMap& weights, ops::Path path)
    : config_(config), path_(path) {
  const std::string tower = absl::StrCat(kPrefix, ".lang_encoder");
  tokens_ = weights.Get(tower + ".token_embedding.weight");
  if (config_.token_rank > 0) {
    widen_tokens_ = ops::Linear(weights.Get(tower + ".token_projection").t().contiguous(),
                                /*bias=*/{}, path_);
  }
  positions_ = weights.Get(tower + ".positional_embedding");
  for (int i = 0; i < config_.layers; ++i) {
    layers_.push_back(LoadLayer(weights, absl::StrCat(tower, ".resblocks.", i)));
  }
  final_norm_ = LoadLayerNorm(weights, tower + ".ln_final");
  final_norm_.eps = kNormEpsilon;
  projection_ = ops::Linear(weights.Get(absl::StrCat(kPrefix, ".lang_proj")).t().contiguous(),
                            /*bias=*/{}, path_);
}

TextEncoder::Layer TextEncoder::LoadLayer(const TensorMap& weights,
                                          const std::string& prefix) const {
  const auto linear = [&](const std::string& name) {
    return ops::Linear(weights.Get(prefix + name + ".weight"), weights.Get(prefix + name + ".bias"),
                       path_);
  };
  Layer layer = {.norm1 = LoadLayerNorm(weights, prefix + ".ln_1"),
                 .qkv = ops::Linear(weights.Get(prefix + ".attn.in_proj_weight"),
                                    weights.Get(prefix + ".attn.in_proj_bias"), path_),
                 .output = linear(".attn.out_proj"),
                 .norm2 = LoadLayerNorm(weights, prefix + ".ln_2"),
                 .expand = linear(".mlp.c_fc"),
                 .contract = linear(".mlp.c_proj")};
  layer.norm1.eps = kNormEpsilon;
  layer.norm2.eps = kNormEpsilon;
  return layer;
}

at::Tensor TextEncoder::EmbedTokens(const at::Tensor& ids) const {
  const at::Tensor rows = tokens_.index_select(0, ids);
  return config_.token_rank > 0 ? widen_tokens_(rows) : rows;
}

at::Tensor TextEncoder::FinishLayer(const Layer& layer, const at::Tensor& x,
                                    const at::Tensor& attended) const {
  const at::Tensor middle = layer.output(attended).add_(x);
  const at::Tensor hidden =
      layer.expand.QuickGelu(ops::AddLayerNorm(layer.norm2, middle, {}, path_));
  return layer.contract(hidden).add_(middle);
}

at::Tensor TextEncoder::Forward(absl::Span<const std::vector<int32_t>> sequences,
                                const ForwardHook& hook) const {
  std::vector<at::Tensor> rows;
  if (!UsesTree()) {
    const size_t part = path_ == ops::Path::kTraining
                            ? std::max<size_t>(1, sequences.size())
                            : std::max<int64_t>(1, kMaxTokens / config_.context);
    for (size_t begin = 0; begin < sequences.size(); begin += part) {
      rows.push_back(ForwardPadded(sequences.subspan(begin, part), hook));
    }
  } else {
    PrefixTree tree;
    for (const std::vector<int32_t>& ids : sequences) {
      const std::span<const int32_t> read = UpToEnd(ids);
      if (tree.sequences() > 0 && static_cast<int64_t>(tree.size() + read.size()) > kMaxTokens) {
        rows.push_back(ForwardTree(tree, hook));
        tree = {};
      }
      tree.Add(read);
    }
    if (tree.sequences() > 0) rows.push_back(ForwardTree(tree, hook));
  }
  return rows.empty() ? at::empty({0, text_dim()}, tokens_.options()) : at::cat(rows);
}

at::Tensor TextEncoder::ForwardTree(const PrefixTree& tree, const ForwardHook& hook) const {
  const at::Tensor parents = AsTensor(tree.parents());
  const at::Tensor ends = AsTensor(tree.ends());
  at::Tensor x = EmbedTokens(AsTensor(tree.tokens()))
                     .add_(positions_.index_select(0, AsTensor(tree.positions())));
  const at::Tensor every = at::arange(x.size(0), at::kInt);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const bool last = i + 1 == layers_.size();
    const at::Tensor qkv = layer.qkv(ops::AddLayerNorm(layer.norm1, x, {}, path_));
    const at::Tensor attended =
        ops::PrefixAttention(qkv, parents, last ? ends : every, config_.heads);
    x = FinishLayer(layer, last ? x.index_select(0, ends) : x, attended);
    if (hook) hook(absl::StrCat("text_layer", i), x);
  }
  x = ops::AddLayerNorm(final_norm_, x, {}, path_);
  if (hook) hook("text_last_hidden", x);
  return projection_(x);
}

int64_t TextEncoder::PaddedLength(absl::Span<const std::vector<int32_t>> sequences) const {
  // What is padded is never read: the published length only costs time.
  if (path_ != ops::Path::kTraining) return config_.context;
  size_t longest = 0;
  for (const std::vector<int32_t>& ids : sequences)
    longest = std::max(longest, UpToEnd(ids).size());
  return static_cast<int64_t>(longest);
}

at::Tensor TextEncoder::ForwardPadded(absl::Span<const std::vector<int32_t>> sequences,
                                      const ForwardHook& hook) const {
  const auto batch = static_cast<int64_t>(sequences.size());
  const int64_t length = PaddedLength(sequences);
  const int64_t width = config_.width;
  std::vector<int64_t> ids, ends;
  for (const std::vector<int32_t>& sequence : sequences) {
    const auto fits = std::min(static_cast<int64_t>(sequence.size()), length);
    ids.insert(ids.end(), sequence.begin(), sequence.begin() + fits);
    ids.resize((ends.size() + 1) * length, Tokenizer::kEnd);
    ends.push_back(static_cast<int64_t>(UpToEnd(sequence).size()) - 1);
  }
  const at::Device device = tokens_.device();
  const at::Tensor future =
      at::full({length, length}, -std::numeric_limits<float>::infinity(), tokens_.options())
          .triu(1);
  at::Tensor x = EmbedTokens(at::tensor(ids).to(device)).view({batch, length, width}) +
                 positions_.slice(0, 0, length);
  const at::Tensor rows = at::arange(batch, at::kLong).to(device);
  const at::Tensor end_tensor = at::tensor(ends).to(device);
  const auto at_ends = [&](const at::Tensor& hidden) { return hidden.index({rows, end_tensor}); };
  const double scale = 1 / std::sqrt(static_cast<double>(width / config_.heads));
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const at::Tensor qkv = layer.qkv(ops::AddLayerNorm(layer.norm1, x, {}, path_))
                               .view({batch, length, 3, config_.heads, -1})
                               .permute({2, 0, 3, 1, 4});  // [3, B, heads, length, head_dim]
    const at::Tensor scores = at::matmul(qkv[0] * scale, qkv[1].transpose(-2, -1)) + future;
    const at::Tensor attended =
        at::matmul(at::softmax(scores, -1), qkv[2]).transpose(1, 2).reshape({batch, length, width});
    // Nobody reads more of the last layer than the ends: a sixth of a step.
    const bool last = path_ == ops::Path::kTraining && i + 1 == layers_.size();
    x = last ? FinishLayer(layer, at_ends(x), at_ends(attended)) : FinishLayer(layer, x, attended);
    if (hook) hook(absl::StrCat("text_layer", i), x);
  }
  x = ops::AddLayerNorm(final_norm_, x, {}, path_);
  if (hook) hook("text_last_hidden", x);
  return projection_(path_ == ops::Path::kTraining ? x : at_ends(x));
}

}  // namespace semsam
