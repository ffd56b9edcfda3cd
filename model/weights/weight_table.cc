#include "model/weights/weight_table.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

using Shape = std::vector<int64_t>;

// How the deterministic fill treats one kind of tensor. Chosen by the authors
// of the numeric reference so that every part of the network has an effect.
enum class Scale {
  kConstant,
  kFanIn,  // sqrt(3 / product of all sizes but the first)
  kFirst,  // sqrt(3 / first size): for x @ W
};

struct KindRule {
  std::string_view kind;
  Scale scale;
  double factor;  // of the rule; the scale itself for kConstant
  double offset;
};

constexpr KindRule kKinds[] = {
    {kComputedKind, Scale::kConstant, 0, 0},   {"weight", Scale::kFanIn, 1, 0},
    {"bias", Scale::kConstant, 0.1, 0},        {"norm", Scale::kConstant, 0.1, 1},
    {"relpos", Scale::kConstant, 1, 0},        {"embed", Scale::kConstant, 0.7, 0},
    {"mask_tokens", Scale::kConstant, 6, 0},   {"x@W", Scale::kFirst, 1, 0},
    {"offset_w", Scale::kFanIn, 0.5, 0},       {"offset_b", Scale::kConstant, 4, 0},
    {"attnw_w", Scale::kFanIn, 1, 0},          {"attnw_b", Scale::kConstant, 0.5, 0},
    {"dec_sa_qkv", Scale::kFanIn, 1.5, 0},     {"dec_sa_out", Scale::kFanIn, 0.25, 0},
    {"dec_ca_out", Scale::kFanIn, 0.5, 0},     {"dec_lin2", Scale::kFanIn, 0.25, 0},
    {"ref_point_head", Scale::kFanIn, 1, 0},   {"mask_embed", Scale::kFanIn, 1, 0},
    {"bbox_w", Scale::kFanIn, 0.2, 0},         {"bbox_b", Scale::kConstant, 0.05, 0.1},
    {"iou_w", Scale::kFanIn, 1.5, 0},          {"iou_b", Scale::kConstant, 0.1, 1.5},
    {"text_qkv", Scale::kFanIn, 1, 0},         {"text_tokens", Scale::kConstant, 1, 0},
    {"logit_scale", Scale::kConstant, 0, 4.6}, {"before_relu", Scale::kFanIn, 1.5, 0},
    {kDepthwiseKind, Scale::kFanIn, 1.5, 0},   {kDepthwiseBiasKind, Scale::kConstant, 0.1, 0},
};

// Models with generic queries: a larger feed-forward keeps hundreds of them
// apart, which without training would all but coincide.
constexpr KindRule kGenericQueryKinds[] = {
    {"dec_lin1", Scale::kFanIn, 2, 0},       {"dec_lin1_b", Scale::kConstant, 0.1, -3},
    {"dec_lin2", Scale::kFanIn, 2, 0},       {"dec_sa_out", Scale::kFanIn, 0.1, 0},
    {"dec_ca_out", Scale::kFanIn, 0.3, 0},   {"text_qkv", Scale::kFanIn, 3, 0},
    {"text_tokens", Scale::kConstant, 3, 0}, {"logit_scale", Scale::kConstant, 0, 3.9},
};

const KindRule& Rule(std::string_view kind, bool generic_queries) {
  if (generic_queries) {
    for (const KindRule& rule : kGenericQueryKinds) {
      if (rule.kind == kind) return rule;
    }
  }
  for (const KindRule& rule : kKinds) {
    if (rule.kind == kind) return rule;
  }
  return kKinds[0];
}

double ScaleOf(const KindRule& rule, const Shape& shape) {
  if (rule.scale == Scale::kConstant) return rule.factor;
  double fan = static_cast<double>(shape[0]);
  if (rule.scale == Scale::kFanIn) {
    fan = 1;
    for (size_t i = 1; i < shape.size(); ++i) fan *= static_cast<double>(shape[i]);
  }
  return rule.factor * std::sqrt(3.0 / fan);
}

// Collects specs; the methods are the building blocks of the network.
class TableBuilder {
 public:
  explicit TableBuilder(bool generic_queries) : generic_queries_(generic_queries) {}

  bool generic_queries() const { return generic_queries_; }

  WeightSpec& Add(std::string name, Shape shape, const char* kind) {
    const KindRule& rule = Rule(kind, generic_queries_);
    const auto scale = static_cast<float>(ScaleOf(rule, shape));
    WeightSpec& spec = specs_.emplace_back();
    spec.seed_name = name;
    spec.name = std::move(name);
    spec.shape = std::move(shape);
    spec.kind = kind;
    spec.offset = static_cast<float>(rule.offset);
    spec.scale = scale;
    return spec;
  }

  void AddOptional(std::string name, Shape shape, const char* kind, bool required = false) {
    Add(std::move(name), std::move(shape), kind).optional = !required;
  }

  void Norm(const std::string& name, int64_t width) {
    Add(name + ".weight", {width}, "norm");
    Add(name + ".bias", {width}, "bias");
  }

  // Linear layers and convolutions: the bias has the first size.
  void Weights(const std::string& name, const Shape& shape, const char* kind = "weight",
               const char* bias_kind = "bias") {
    Add(name + ".weight", shape, kind);
    Add(name + ".bias", {shape[0]}, bias_kind);
  }

  // Layers widths[0] -> widths[1] -> ...; the last one has kinds of its own.
  void Mlp(const std::string& name, const Shape& widths, const char* last_kind,
           const char* last_bias_kind = "bias") {
    const size_t layers = widths.size() - 1;
    for (size_t i = 0; i < layers; ++i) {
      const bool last = i + 1 == layers;
      Weights(absl::StrCat(name, ".layers.", i), {widths[i + 1], widths[i]},
              last ? last_kind : "weight", last ? last_bias_kind : "bias");
    }
  }

  // The same tensors under the name `to` instead of `from`: one module that the
  // network holds in several places.
  void AddAs(const std::vector<WeightSpec>& specs, const std::string& from, const std::string& to) {
    for (WeightSpec spec : specs) {
      spec.name = to + spec.name.substr(from.size());
      specs_.push_back(std::move(spec));
    }
  }

  std::vector<WeightSpec> Take() { return std::move(specs_); }

 private:
  bool generic_queries_;
  std::vector<WeightSpec> specs_;
};

void AddSwinBlock(TableBuilder& table, const std::string& name, const SwinConfig& swin,
                  int64_t width, int64_t heads) {
  const int64_t window = swin.window_size;
  const int64_t tokens = window * window;
  const int64_t offsets = (2 * window - 1) * (2 * window - 1);
  table.Norm(name + ".norm1", width);
  table.Add(name + ".attn.relative_position_bias_table", {offsets, heads}, "relpos");
  WeightSpec& index =
      table.Add(name + ".attn.relative_position_index", {tokens, tokens}, kComputedKind);
  index.dtype = DType::kInt64;
  index.optional = true;
  table.Weights(name + ".attn.qkv", {3 * width, width});
  table.Weights(name + ".attn.proj", {width, width});
  table.Norm(name + ".norm2", width);
  table.Weights(name + ".mlp.fc1", {swin.mlp_ratio * width, width});
  table.Weights(name + ".mlp.fc2", {width, swin.mlp_ratio * width});
}

void AddSwin(TableBuilder& table, const SwinConfig& swin) {
  table.Weights("backbone.patch_embed.proj", {swin.embed_dim, 3, swin.patch_size, swin.patch_size});
  table.Norm("backbone.patch_embed.norm", swin.embed_dim);
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = int64_t{swin.embed_dim} << stage;
    const std::string name = absl::StrCat("backbone.layers.", stage);
    for (int block = 0; block < swin.depths[stage]; ++block) {
      AddSwinBlock(table, absl::StrCat(name, ".blocks.", block), swin, width, swin.heads[stage]);
    }
    if (stage == 3) break;
    table.Add(name + ".downsample.reduction.weight", {2 * width, 4 * width}, "weight");
    table.Norm(name + ".downsample.norm", 4 * width);
  }
  for (int stage = 0; stage < 4; ++stage) {
    table.Norm(absl::StrCat("backbone.norm", stage), int64_t{swin.embed_dim} << stage);
  }
}

// Convolutions alone: BatchNorm is folded into them.
void AddEfficientNetLite(TableBuilder& table, const EfficientNetLiteConfig& net) {
  table.Weights("backbone.stem", {net.stem_width, 3, 3, 3}, "before_relu");
  int64_t width = net.stem_width;
  for (size_t s = 0; s < kEfficientNetLiteStages.size(); ++s) {
    const EfficientNetLiteStage& stage = kEfficientNetLiteStages[s];
    for (int b = 0; b < net.depths[s]; ++b) {
      const std::string block = absl::StrCat("backbone.stages.", s, ".blocks.", b);
      const int64_t hidden = width * stage.expansion;
      if (stage.expansion > 1) {
        table.Weights(block + ".expand", {hidden, width, 1, 1}, "before_relu");
      }
      table.Weights(block + ".depthwise", {hidden, 1, stage.kernel, stage.kernel}, kDepthwiseKind,
                    kDepthwiseBiasKind);
      width = net.widths[s];
      table.Weights(block + ".project", {width, hidden, 1, 1});
    }
  }
}

void AddBackbone(TableBuilder& table, const BackboneConfig& backbone) {
  if (const auto* swin = std::get_if<SwinConfig>(&backbone)) AddSwin(table, *swin);
  if (const auto* net = std::get_if<EfficientNetLiteConfig>(&backbone)) {
    AddEfficientNetLite(table, *net);
  }
}

void AddDeformableAttention(TableBuilder& table, const std::string& name, int64_t width,
                            int64_t samples, const char* output_kind) {
  table.Weights(name + ".sampling_offsets", {2 * samples, width}, "offset_w", "offset_b");
  table.Weights(name + ".attention_weights", {samples, width}, "attnw_w", "attnw_b");
  table.Weights(name + ".value_proj", {width, width});
  table.Weights(name + ".output_proj", {width, width}, output_kind);
}

// Brings the backbone's maps, res5 and those before it, to one width; levels
// beyond those are strided convolutions, the first of them of res5.
void AddInputProjections(TableBuilder& table, const std::string& name, const ModelConfig& config) {
  const std::array<int, 4> channels = BackboneChannels(config.backbone);
  const int64_t width = config.pixel_decoder.hidden_dim;
  const int from_backbone = config.pixel_decoder.backbone_levels;
  for (int level = 0; level < config.pixel_decoder.feature_levels; ++level) {
    const std::string projection = absl::StrCat(name, ".input_proj.", level);
    if (level < from_backbone) {
      table.Weights(projection + ".0", {width, channels[4 - from_backbone + level], 1, 1});
    } else {
      table.Weights(projection + ".0", {width, level == from_backbone ? channels[3] : width, 3, 3});
    }
    table.Norm(projection + ".1", width);
  }
}

void AddPixelDecoder(TableBuilder& table, const ModelConfig& config) {
  const std::string name = "sem_seg_head.pixel_decoder";
  const PixelDecoderConfig& pixel = config.pixel_decoder;
  const int64_t width = pixel.hidden_dim;
  AddInputProjections(table, name, config);
  table.Add(name + ".transformer.level_embed", {pixel.feature_levels, width}, "embed").scale = 1;
  for (int i = 0; i < pixel.layers; ++i) {
    const std::string layer = absl::StrCat(name, ".transformer.encoder.layers.", i);
    AddDeformableAttention(table, layer + ".self_attn", width,
                           int64_t{pixel.heads} * pixel.feature_levels * pixel.points, "weight");
    table.Norm(layer + ".norm1", width);
    table.Weights(layer + ".linear1", {pixel.ffn_dim, width});
    table.Weights(layer + ".linear2", {width, pixel.ffn_dim});
    table.Norm(layer + ".norm2", width);
  }
  // FPN step to stride 4; its convolutions have a norm instead of a bias.
  table.Weights(name + ".mask_features", {pixel.mask_dim, width, 1, 1});
  table.Add(name + ".adapter_1.weight", {width, BackboneChannels(config.backbone)[0], 1, 1},
            "weight");
  table.Norm(name + ".adapter_1.norm", width);
  table.Add(name + ".layer_1.weight", {width, width, 3, 3}, "weight");
  table.Norm(name + ".layer_1.norm", width);
}

void AddDecoderLayer(TableBuilder& table, const std::string& layer, const ModelConfig& config) {
  const DecoderConfig& decoder = config.decoder;
  const int64_t width = config.pixel_decoder.hidden_dim;
  AddDeformableAttention(
      table, layer + ".cross_attn", width,
      int64_t{decoder.heads} * config.pixel_decoder.feature_levels * decoder.points, "dec_ca_out");
  table.Norm(layer + ".norm1", width);
  table.Add(layer + ".self_attn.in_proj_weight", {3 * width, width}, "dec_sa_qkv");
  table.Add(layer + ".self_attn.in_proj_bias", {3 * width}, "bias");
  table.Weights(layer + ".self_attn.out_proj", {width, width}, "dec_sa_out");
  table.Norm(layer + ".norm2", width);
  const bool generic = table.generic_queries();
  table.Weights(layer + ".linear1", {decoder.ffn_dim, width}, generic ? "dec_lin1" : "weight",
                generic ? "dec_lin1_b" : "bias");
  table.Weights(layer + ".linear2", {width, decoder.ffn_dim}, "dec_lin2");
  table.Norm(layer + ".norm3", width);
}

// Chooses generic queries among the tokens of the image.
void AddQuerySelection(TableBuilder& table, const std::string& name, int64_t width,
                       int64_t learned) {
  table.Weights(name + ".enc_output", {width, width});
  table.Norm(name + ".enc_output_norm", width);
  if (learned == 0) return;
  table.Add(name + ".query_feat.weight", {learned, width}, "embed").scale = 1;
  table.Add(name + ".query_embed.weight", {learned, 4}, "embed").scale = 1.5f;
}

void AddTextEncoder(TableBuilder& table, const std::string& name, const TextConfig& text,
                    int64_t text_dim) {
  const int64_t width = text.width;
  table.Add(name + ".lang_proj", {width, text_dim}, "x@W");
  table.Add(name + ".logit_scale", {}, "logit_scale");
  const std::string tower = name + ".lang_encoder";
  table.Add(tower + ".positional_embedding", {text.context, width}, "embed").scale = 0.5f;
  const int64_t rank = text.token_rank > 0 ? text.token_rank : width;
  table.Add(tower + ".token_embedding.weight", {text.vocabulary_size, rank}, "text_tokens");
  if (text.token_rank > 0) table.Add(tower + ".token_projection", {rank, width}, "x@W");
  for (int i = 0; i < text.layers; ++i) {
    const std::string block = absl::StrCat(tower, ".resblocks.", i);
    table.Add(block + ".attn.in_proj_weight", {3 * width, width}, "text_qkv");
    table.Add(block + ".attn.in_proj_bias", {3 * width}, "bias");
    table.Weights(block + ".attn.out_proj", {width, width});
    table.Norm(block + ".ln_1", width);
    table.Weights(block + ".mlp.c_fc", {text.mlp_ratio * width, width});
    table.Weights(block + ".mlp.c_proj", {width, text.mlp_ratio * width});
    table.Norm(block + ".ln_2", width);
  }
  table.Norm(tower + ".ln_final", width);
}

// What meets the text embeddings.
void AddClassHeads(TableBuilder& table, const std::string& name, const ModelConfig& config) {
  const int64_t text_dim = config.decoder.text_dim;
  const int64_t width = config.pixel_decoder.hidden_dim;
  const Capabilities& can = config.capabilities;
  table.AddOptional(name + ".lang_mapper", {text_dim, width}, "x@W");
  table.AddOptional(name + ".class_embed", {width, text_dim}, "x@W",
                    /*required=*/can.object_labels || can.vocabulary);
  if (can.part_labels || can.click_prompts) {
    table.AddOptional(name + ".class_embed_part", {width, text_dim}, "x@W",
                      /*required=*/can.part_labels);
  }
}

// What the published decoder has not.
void AddAdditions(TableBuilder& table, const std::string& name, const ModelConfig& config) {
  const DecoderAdditions& additions = config.decoder.additions;
  const int64_t width = config.pixel_decoder.hidden_dim;
  if (const int maps = additions.prompt_maps.count(); maps > 0) {
    table.Mlp(name + ".prompt_map_head", {width, width, maps}, "weight");
  }
  if (additions.click_features) {
    table.Weights(name + ".click_features", {width, config.pixel_decoder.feature_levels * width});
  }
  if (additions.pooled_features) {
    table.Norm(name + ".pooled_norm", width);
    table.Weights(name + ".pooled_features", {width, width});
  }
}

void AddPredictor(TableBuilder& table, const ModelConfig& config) {
  const std::string name = "sem_seg_head.predictor";
  const DecoderConfig& decoder = config.decoder;
  const int64_t width = config.pixel_decoder.hidden_dim;

  AddClassHeads(table, name, config);
  if (config.vocabulary) {
    AddQuerySelection(table, name, width, config.vocabulary->learned_queries);
  }
  if (config.text) AddTextEncoder(table, name + ".lang_encoder", *config.text, decoder.text_dim);
  table.Mlp(name + ".mask_embed", {width, width, width, config.pixel_decoder.mask_dim},
            "mask_embed");
  const std::string norm = name + ".decoder_norm";
  TableBuilder norm_table(table.generic_queries());
  norm_table.Norm(norm, width);
  const std::vector<WeightSpec> norm_specs = norm_table.Take();
  table.AddAs(norm_specs, norm, norm);
  for (int i = 0; i < decoder.layers; ++i) {
    AddDecoderLayer(table, absl::StrCat(name, ".decoder.layers.", i), config);
  }
  table.AddAs(norm_specs, norm, name + ".decoder.norm");
  table.Mlp(name + ".decoder.ref_point_head", {2 * width, width, width}, "ref_point_head");

  // One box MLP, reachable under two names a layer and one of its own.
  const std::string box = name + "._bbox_embed";
  TableBuilder box_table(table.generic_queries());
  box_table.Mlp(box, {width, width, width, 4}, "bbox_w", "bbox_b");
  const std::vector<WeightSpec> box_specs = box_table.Take();
  const auto add_box = [&](const std::string& at) { table.AddAs(box_specs, box, at); };
  for (int i = 0; i < decoder.layers; ++i) add_box(absl::StrCat(name, ".decoder.bbox_embed.", i));
  add_box(box);
  for (int i = 0; i < decoder.layers; ++i) add_box(absl::StrCat(name, ".bbox_embed.", i));

  AddAdditions(table, name, config);
  if (decoder.tokens == 0) return;
  table.Mlp(name + ".iou_prediction_head", {width, width, width, 1}, "iou_w", "iou_b");
  table.Add(name + ".mask_tokens.weight", {decoder.tokens, width}, "mask_tokens");
  table.Add(name + ".pb_embedding.weight", {2, width}, "embed");
  table.Add(name + ".label_enc.weight", {2, width}, "embed");
}

}  // namespace

std::vector<WeightSpec> WeightTable(const ModelConfig& config) {
  TableBuilder table(config.vocabulary.has_value());
  AddBackbone(table, config.backbone);
  AddPixelDecoder(table, config);
  AddPredictor(table, config);
  return table.Take();
}

}  // namespace semsam
