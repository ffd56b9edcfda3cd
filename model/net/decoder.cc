#include "model/net/decoder.h"

#include "absl/strings/str_cat.h"
#include "model/ops/boxes.h"
#include "model/ops/prompt_attention.h"

namespace semsam {
namespace {

constexpr char kPrefix[] = "sem_seg_head.predictor.";

// The images of `input` as layer `index` sees them.
std::vector<ops::PyramidMemory> LayerImages(const QueryInput& input, int index) {
  std::vector<ops::PyramidMemory> images(input.images.begin(), input.images.end());
  for (size_t i = 0; i < input.projected_values.size(); ++i) {
    if (input.projected_values[i].defined()) images[i].values = input.projected_values[i][index];
  }
  return images;
}

}  // namespace

at::Tensor Decoder::Mlp::operator()(const at::Tensor& x) const {
  at::Tensor y = x;
  for (size_t i = 0; i + 1 < layers.size(); ++i) y = layers[i].Relu(y);
  return layers.back()(y);
}

Decoder::Decoder(const ModelConfig& config, const TensorMap& weights, const Dense& mask_projection,
                 ops::Path path)
    : channels_(config.pixel_decoder.hidden_dim), config_(config.decoder), path_(path) {
  const std::string prefix = kPrefix;
  if (config_.tokens > 0) {
    label_embedding_ = weights.Get(prefix + "label_enc.weight")[0].view({1, 1, channels_});
    point_or_box_embedding_ = weights.Get(prefix + "pb_embedding.weight");
    mask_tokens_ = weights.Get(prefix + "mask_tokens.weight");
    iou_head_ = LoadMlp(weights, prefix + "iou_prediction_head", 3);
    if (config_.additions.click_features) click_features_.emplace(weights, path);
  }
  const int64_t axis = channels_ / 2;  // sine channels a box coordinate
  const at::Tensor exponent = at::arange(0, axis / 2, mask_projection.weight.options()) * 2 / axis;
  sine_periods_ = at::pow(10000.0, exponent);
  query_position_ = LoadMlp(weights, prefix + "decoder.ref_point_head", 2);
  for (int i = 0; i < config_.layers; ++i) {
    layers_.push_back(LoadLayer(weights, absl::StrCat(prefix, "decoder.layers.", i)));
  }
  norm_ = LoadLayerNorm(weights, prefix + "decoder_norm");
  box_head_ = LoadMlp(weights, prefix + "_bbox_embed", 3);
  mask_head_ = LoadMlp(weights, prefix + "mask_embed", 3);
  folded_projection_ = ops::Linear(
      at::cat({mask_projection.weight.t(), mask_projection.bias.unsqueeze(0)}), {}, path);
}

Decoder::Mlp Decoder::LoadMlp(const TensorMap& weights, const std::string& prefix,
                              int layers) const {
  Mlp mlp;
  for (int i = 0; i < layers; ++i) {
    const std::string name = absl::StrCat(prefix, ".layers.", i);
    mlp.layers.emplace_back(weights.Get(name + ".weight"), weights.Get(name + ".bias"), path_);
  }
  return mlp;
}

Decoder::Layer Decoder::LoadLayer(const TensorMap& weights, const std::string& prefix) const {
  const auto linear = [&](const std::string& name) {
    return ops::Linear(weights.Get(prefix + name + ".weight"), weights.Get(prefix + name + ".bias"),
                       path_);
  };
  const at::Tensor& in_weight = weights.Get(prefix + ".self_attn.in_proj_weight");
  const at::Tensor& in_bias = weights.Get(prefix + ".self_attn.in_proj_bias");
  const Dense offsets = LoadDense(weights, prefix + ".cross_attn.sampling_offsets");
  const Dense logits = LoadDense(weights, prefix + ".cross_attn.attention_weights");
  const ops::SamplingShape shape = {.heads = config_.heads, .points = config_.points};
  return {.query_key = ops::Linear(in_weight.slice(0, 0, 2 * channels_),
                                   in_bias.slice(0, 0, 2 * channels_), path_),
          .value = ops::Linear(in_weight.slice(0, 2 * channels_), in_bias.slice(0, 2 * channels_),
                               path_),
          .self_output = linear(".self_attn.out_proj"),
          .norm2 = LoadLayerNorm(weights, prefix + ".norm2"),
          .sampling = ops::Linear(at::cat({offsets.weight, logits.weight}),
                                  at::cat({offsets.bias, logits.bias}), path_),
          .memory_value = ops::PrepareValueProjection(
              weights.Get(prefix + ".cross_attn.value_proj.weight"),
              weights.Get(prefix + ".cross_attn.value_proj.bias"), shape, path_),
          .cross_output = linear(".cross_attn.output_proj"),
          .norm1 = LoadLayerNorm(weights, prefix + ".norm1"),
          .expand = linear(".linear1"),
          .contract = linear(".linear2"),
          .norm3 = LoadLayerNorm(weights, prefix + ".norm3")};
}

at::Tensor Decoder::InitialTokens(const DecoderInput& input) const {
  const at::Tensor kind = point_or_box_embedding_.index_select(0, input.point_or_box);
  at::Tensor tokens = (label_embedding_ + kind.unsqueeze(1)) + mask_tokens_.unsqueeze(0);
  if (click_features_) {
    const at::Tensor centres = input.boxes.slice(1, 0, 2);
    tokens = tokens + (*click_features_)(input.images, input.image_of_prompt, centres).unsqueeze(1);
  }
  return tokens.view({input.boxes.size(0) * config_.tokens, channels_});
}

at::Tensor Decoder::ProjectValues(const at::Tensor& memory) const {
  at::Tensor values = at::empty({static_cast<int64_t>(layers_.size()), memory.size(0), channels_},
                                memory.options());
  for (size_t i = 0; i < layers_.size(); ++i) {
    values[static_cast<int64_t>(i)].copy_(layers_[i].memory_value.full(memory));
  }
  return values;
}

DecoderOutput Decoder::Forward(const DecoderInput& input, bool every_layer,
                               const ForwardHook& hook) const {
  TORCH_CHECK(config_.tokens > 0, "the model takes no prompts");
  const int64_t prompts = input.boxes.size(0);
  QueryInput queries = {.images = input.images,
                        .projected_values = input.projected_values,
                        .content = InitialTokens(input),
                        .references = ops::RefineBoxes({}, input.boxes, path_)
                                          .unsqueeze(1)
                                          .expand({prompts, config_.tokens, 4})
                                          .reshape({prompts * config_.tokens, 4}),
                        .queries_per_group = input.prompts_per_group * config_.tokens};
  queries.image_of_query.reserve(prompts * config_.tokens);
  for (int image : input.image_of_prompt) {
    queries.image_of_query.insert(queries.image_of_query.end(), config_.tokens, image);
  }
  return Forward(queries, every_layer, hook);
}

DecoderOutput Decoder::Forward(const QueryInput& input, bool every_layer,
                               const ForwardHook& hook) const {
  DecoderOutput output;
  at::Tensor tokens = input.content;
  at::Tensor reference = input.references;
  if (every_layer) output.references.push_back(reference);
  for (size_t i = 0; i < layers_.size(); ++i) {
    // Published: neither a layer nor the box that it passes on trains what came before
    // the box it is given; the boxes that the heads refine train the layer before.
    const at::Tensor given = reference.detach();
    tokens = RunLayer(layers_[i], input, tokens, given, static_cast<int>(i), hook);
    output.last_reference = reference;
    if (every_layer) output.layers.push_back(NormTwice(tokens));
    if (i + 1 < layers_.size() || every_layer) reference = RefineBoxes(tokens, given);
    if (every_layer) output.references.push_back(reference);
  }
  output.raw = tokens;
  const NormedQueries normed = every_layer ? output.layers.back() : NormTwice(tokens);
  output.normed_once = normed.once;
  output.queries = normed.twice;
  return output;
}

at::Tensor Decoder::RunLayer(const Layer& layer, const QueryInput& input, const at::Tensor& tokens,
                             const at::Tensor& references, int index,
                             const ForwardHook& hook) const {
  const auto call_hook = [&](const char* what, at::Tensor& value) {
    if (hook) hook(absl::StrCat("dec_layer", index, what), value);
  };
  at::Tensor sine = ops::SineBoxes(references, sine_periods_, path_);
  call_hook("_query_sine", sine);
  at::Tensor position = query_position_(sine);
  call_hook("_query_pos", position);

  // Self-attention inside a group
  const int64_t group = input.queries_per_group;
  const at::Tensor query_key = layer.query_key(tokens + position);
  at::Tensor attended = layer.self_output(
      ops::GroupAttention(query_key.view({-1, group, 2 * channels_}),
                          layer.value(tokens).view({-1, group, channels_}), config_.heads, path_)
          .view({-1, channels_}));
  call_hook("_selfattn", attended);
  at::Tensor x = ops::AddLayerNorm(layer.norm2, tokens, attended, path_);

  // Cross-attention to the image
  const ops::SamplingShape shape = {.heads = config_.heads, .points = config_.points};
  at::Tensor sampled = layer.cross_output(ops::BoxDeformableAttention(
      shape, layer.memory_value, LayerImages(input, index), input.image_of_query,
      layer.sampling(x + position), references, path_));
  call_hook("_crossattn", sampled);
  x = ops::AddLayerNorm(layer.norm1, x, sampled, path_);

  x = ops::AddLayerNorm(layer.norm3, x, layer.contract(layer.expand.Relu(x)), path_);
  call_hook("", x);
  return x;
}

at::Tensor Decoder::Norm(const at::Tensor& queries) const {
  return ops::AddLayerNorm(norm_, queries, {}, path_);
}

NormedQueries Decoder::NormTwice(const at::Tensor& raw) const {
  NormedQueries normed = {.once = Norm(raw), .twice = {}};
  normed.twice = Norm(normed.once);
  return normed;
}

at::Tensor Decoder::BoxDeltas(const at::Tensor& queries) const { return box_head_(queries); }

at::Tensor Decoder::RefineBoxes(const at::Tensor& queries, const at::Tensor& references) const {
  return ops::RefineBoxes(box_head_(queries), references, path_);
}

at::Tensor Decoder::PredictIous(const at::Tensor& queries) const {
  return iou_head_(queries).squeeze(-1);
}

at::Tensor Decoder::PredictBoxes(const at::Tensor& queries, const at::Tensor& references) const {
  return RefineBoxes(queries, references);
}

at::Tensor Decoder::MaskEmbeddings(const at::Tensor& queries) const { return mask_head_(queries); }

at::Tensor Decoder::FoldedMaskEmbeddings(const at::Tensor& queries) const {
  return folded_projection_(mask_head_(queries));
}

}  // namespace semsam
