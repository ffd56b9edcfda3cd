// Everything in which one model of the family differs from another. One engine
// runs every configuration; a weight file carries its own as JSON.
#ifndef SEMSAM_MODEL_BASE_MODEL_CONFIG_H_
#define SEMSAM_MODEL_BASE_MODEL_CONFIG_H_

#include <array>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "model/base/types.h"

namespace semsam {

// Swin Transformer backbone (Liu et al. 2021). Stage i has width
// embed_dim * 2^i and stride patch_size * 2^i.
struct SwinConfig {
  int patch_size = 4;
  int embed_dim = 96;
  std::vector<int> depths = {2, 2, 6, 2};   // blocks a stage; always four stages
  std::vector<int> heads = {3, 6, 12, 24};  // attention heads a stage
  int window_size = 7;                      // tokens a window side
  int mlp_ratio = 4;

  friend bool operator==(const SwinConfig&, const SwinConfig&) = default;
};

// EfficientNet-Lite (Liu 2020): EfficientNet (Tan and Le 2019) without squeeze and
// excitation, with ReLU6, its stem and head never widened. The head (1280 channels and
// the classifier) is no part of a backbone. The defaults are Lite2.
struct EfficientNetLiteConfig {
  int stem_width = 32;                                        // a multiple of 16
  std::vector<int> widths = {16, 24, 48, 88, 120, 208, 352};  // a stage; multiples of 8
  std::vector<int> depths = {1, 3, 3, 4, 4, 5, 1};            // blocks a stage

  friend bool operator==(const EfficientNetLiteConfig&, const EfficientNetLiteConfig&) = default;
};

// What all variants share: the blocks of a stage are inverted residuals with a
// depthwise convolution of kernel x kernel over `expansion` times the channels that come
// in; the first one has the stride.
struct EfficientNetLiteStage {
  int kernel;
  int stride;
  int expansion;
};
inline constexpr std::array<EfficientNetLiteStage, 7> kEfficientNetLiteStages = {
    {{3, 1, 1}, {3, 2, 6}, {5, 2, 6}, {3, 2, 6}, {5, 1, 6}, {5, 2, 6}, {3, 1, 6}}};
// The stages whose last block gives res2, res3, res4, res5.
inline constexpr std::array<int, 4> kEfficientNetLiteFeatures = {1, 2, 4, 6};

// Lite0 to Lite4 as published.
enum class EfficientNetLiteSize { kLite0, kLite1, kLite2, kLite3, kLite4 };
EfficientNetLiteConfig EfficientNetLiteOf(EfficientNetLiteSize size);

using BackboneConfig = std::variant<SwinConfig, EfficientNetLiteConfig>;

// Multi-scale deformable encoder and FPN (paper, section 3; Mask DINO layout).
struct PixelDecoderConfig {
  int hidden_dim = 256;
  // Levels of the encoder, finest first: `backbone_levels` of the backbone, then
  // strided convolutions of its last one.
  int feature_levels = 4;
  int backbone_levels = 3;  // 3: res3, res4, res5; 4: res2 too
  int layers = 6;
  int heads = 8;
  int points = 4;  // sampling points a head and level
  int ffn_dim = 2048;
  int norm_groups = 32;  // GroupNorm
  int mask_dim = 256;    // channels of the mask features

  friend bool operator==(const PixelDecoderConfig&, const PixelDecoderConfig&) = default;
};

// Maps round the middle of a prompt. They are added to the mask logits of its
// queries, each with a weight that a head reads from the query. Distances are in units
// of the longer side of the mask grid.
struct PromptMapsConfig {
  std::vector<float> sigmas;  // Gaussians
  std::vector<float> ramps;   // tanh(distance / ramp), each once along x and once along y

  int count() const { return static_cast<int>(sigmas.size() + 2 * ramps.size()); }
  friend bool operator==(const PromptMapsConfig&, const PromptMapsConfig&) = default;
};

// What a decoder has beyond the published one.
struct DecoderAdditions {
  PromptMapsConfig prompt_maps;  // empty: none
  bool click_features = false;   // memory at the middle of a prompt joins its tokens
  bool pooled_features = false;  // memory under a mask joins what IoU and class heads read

  friend bool operator==(const DecoderAdditions&, const DecoderAdditions&) = default;
};

// Decoder of prompts and of generic queries (paper, section 3.2).
struct DecoderConfig {
  int layers = 9;
  int heads = 8;
  int points = 4;
  int ffn_dim = 2048;
  int tokens = 6;      // level tokens a prompt; 0: the model takes no prompts
  int text_dim = 512;  // width of the text embeddings that the class heads meet
  DecoderAdditions additions;

  friend bool operator==(const DecoderConfig&, const DecoderConfig&) = default;
};

// CLIP-style text encoder (Radford et al. 2021): causal, pre-norm, QuickGELU.
struct TextConfig {
  int width = 512;
  int layers = 12;
  int heads = 8;
  int context = 18;  // tokens of a text, start and end included
  int vocabulary_size = 49408;
  int mlp_ratio = 4;
  // Columns of the table of tokens, which a matrix [token_rank, width] widens; 0: the
  // table is `width` wide and there is no matrix (published).
  int token_rank = 0;

  friend bool operator==(const TextConfig&, const TextConfig&) = default;
};

// Generic queries that a list of words chooses from the image (OpenSeeD).
struct VocabularyConfig {
  int queries = 300;        // chosen by text similarity
  int learned_queries = 0;  // appended; of the decoupled models, for stuff
  // Defaults of inference.
  int top_instances = 100;
  float object_threshold = 0.25f;   // of a score, for the panoptic map
  float overlap_threshold = 0.8f;   // share of its own area that a segment must win
  float score_temperature = 0.06f;  // of the softmax over the scores of the classes

  friend bool operator==(const VocabularyConfig&, const VocabularyConfig&) = default;
};

// What a model can do. Labels and vocabulary need ModelConfig::text. Labels are those
// of masks that prompts gave, but for `part_labels` with `vocabulary`, which also
// lets a vocabulary run name parts: a model without prompts has no object_labels,
// however well `vocabulary` knows its words.
struct Capabilities {
  bool click_prompts = true;
  bool box_prompts = true;
  bool object_labels = false;
  bool part_labels = false;
  bool vocabulary = false;  // text-only segmentation

  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct ModelConfig {
  std::string name;
  BackboneConfig backbone;
  PixelDecoderConfig pixel_decoder;
  DecoderConfig decoder;
  std::optional<TextConfig> text;              // absent: the model knows no words
  std::optional<VocabularyConfig> vocabulary;  // absent: no text-only segmentation

  // Granularity level (1-based, 1 = largest) -> decoder token: level l is
  // token level_to_token[l - 1].
  std::vector<int> level_to_token = {3, 2, 0, 4, 1, 5};

  // Preprocessing
  int short_edge_px = 640;
  int size_divisor = 32;
  std::array<float, 3> pixel_mean = {123.675f, 116.28f, 103.53f};  // RGB, 0..255
  std::array<float, 3> pixel_std = {58.395f, 57.12f, 57.375f};     // RGB, 0..255

  // Prompts
  float click_size = 0.005f;  // relative width and height of a point prompt
  int click_point_or_box = 0;
  int box_point_or_box = 0;

  Capabilities capabilities;

  int levels() const { return static_cast<int>(level_to_token.size()); }
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// The published models (UX-Decoder/Semantic-SAM, swint_/swinl_only_sam_many2many).
ModelConfig SwinT();
ModelConfig SwinL();
// SwinT() with everything the paper's full model has: text encoder, object and part
// labels, generic queries. No such weights are published.
ModelConfig SwinTJoint();
// A few hundred thousand parameters with every part present, words included: for
// tests.
ModelConfig SwinTiny();
// The same network without words: what the published checkpoints are like.
ModelConfig SwinTinyWordless();
// SwinTiny() with every addition to the decoder.
ModelConfig SwinTinyExtended();
// OpenSeeD (IDEA-Research/OpenSeeD), plain Swin-T, context 18.
ModelConfig OpenSeedSwinT();
// Our own model, small enough for two cores: the one that ships.
ModelConfig SemsamLite();
// The maps of SemsamLite().
PromptMapsConfig LitePromptMaps();

// Channels of res2, res3, res4, res5.
std::array<int, 4> BackboneChannels(const BackboneConfig& backbone);

// OK, or INVALID_ARGUMENT that names the first field that cannot work.
absl::Status Validate(const ModelConfig& config);

// `network` rounded up to a multiple of config.size_divisor.
ImageSize PaddedSize(const ModelConfig& config, ImageSize network);

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_MODEL_CONFIG_H_
