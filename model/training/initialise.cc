#include "model/training/initialise.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/data/random.h"
#include "model/torch/catch.h"
#include "model/training/glob.h"
#include "model/weights/formula.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

enum class Draw {
  kZero,
  kOne,
  kNormal,         // of the factor
  kTruncated,      // normal of the factor, cut at 2
  kXavier,         // uniform, bound sqrt(6 / (fan in + fan out))
  kKaiming,        // uniform, bound sqrt(3 / fan in): "c2 xavier"
  kKaimingFanOut,  // normal, sqrt(2 / fan out)
  kLinear,         // uniform, bound 1 / sqrt(fan in): PyTorch's default
  kRays,           // sampling offsets: a ray a head, a step a point
};

struct Rule {
  std::string_view name;  // glob
  Draw draw;
  double factor = 0;
};

#define SEMSAM_PIXEL "sem_seg_head.pixel_decoder."
#define SEMSAM_PREDICTOR "sem_seg_head.predictor."

// The first that fits counts; norms are dealt with before.
constexpr Rule kRules[] = {
    // Deformable attention, wherever it is
    {"*.sampling_offsets.weight", Draw::kZero},
    {"*.sampling_offsets.bias", Draw::kRays},
    {"*.attention_weights.*", Draw::kZero},
    {"*.value_proj.bias", Draw::kZero},
    {"*.output_proj.bias", Draw::kZero},
    // Pixel decoder
    {SEMSAM_PIXEL "input_proj.*.bias", Draw::kZero},
    {SEMSAM_PIXEL "input_proj.*", Draw::kXavier},
    {SEMSAM_PIXEL "transformer.level_embed", Draw::kNormal, 1},
    {SEMSAM_PIXEL "transformer.*.weight", Draw::kXavier},
    {SEMSAM_PIXEL "transformer.*", Draw::kLinear},
    {SEMSAM_PIXEL "*.bias", Draw::kZero},
    {SEMSAM_PIXEL "*", Draw::kKaiming},
    // Decoder and heads
    {SEMSAM_PREDICTOR "decoder.*.self_attn.*bias", Draw::kZero},
    {SEMSAM_PREDICTOR "decoder.*weight", Draw::kXavier},
    {SEMSAM_PREDICTOR "decoder.*", Draw::kLinear},
    {SEMSAM_PREDICTOR "_bbox_embed.layers.2.*", Draw::kZero},
    {SEMSAM_PREDICTOR "label_enc.weight", Draw::kNormal, 1},
    {SEMSAM_PREDICTOR "pb_embedding.weight", Draw::kNormal, 1},
    {SEMSAM_PREDICTOR "mask_tokens.weight", Draw::kNormal, 1},
    {SEMSAM_PREDICTOR "query_feat.weight", Draw::kNormal, 1},
    {SEMSAM_PREDICTOR "query_embed.weight", Draw::kNormal, 1},
    {SEMSAM_PREDICTOR "class_embed*", Draw::kTruncated, 0.02},
    {SEMSAM_PREDICTOR "lang_mapper", Draw::kTruncated, 0.02},
    // Ours: the maps are off at first
    {SEMSAM_PREDICTOR "prompt_map_head.layers.1.*", Draw::kZero},
    // Text encoder
    {SEMSAM_PREDICTOR "lang_encoder.logit_scale", Draw::kOne},
    {SEMSAM_PREDICTOR "lang_encoder.*bias", Draw::kZero},
    {SEMSAM_PREDICTOR "lang_encoder.*", Draw::kTruncated, 0.02},
    {SEMSAM_PREDICTOR "*", Draw::kLinear},
    // Backbones
    {"backbone.patch_embed.proj.*", Draw::kLinear},
    {"backbone.*.relative_position_bias_table", Draw::kTruncated, 0.02},
    {"backbone.*.bias", Draw::kZero},
    {"backbone.layers.*", Draw::kTruncated, 0.02},  // Swin
    {"*", Draw::kKaimingFanOut},
};

#undef SEMSAM_PIXEL
#undef SEMSAM_PREDICTOR

std::string WeightOf(const std::string& bias) {
  return absl::EndsWith(bias, ".bias") ? bias.substr(0, bias.size() - 5) + ".weight" : bias;
}

class Initialiser {
 public:
  Initialiser(const ModelConfig& config, uint64_t seed) : config_(config), seed_(seed) {
    for (WeightSpec& spec : WeightTable(config)) {
      if (!spec.is_alias() && spec.kind != kComputedKind) {
        const std::string name = spec.name;
        specs_.emplace(name, std::move(spec));
      }
    }
  }

  NamedTensors All() const {
    NamedTensors tensors;
    for (const auto& [name, spec] : specs_) tensors[name] = Make(spec);
    return tensors;
  }

 private:
  at::Tensor Make(const WeightSpec& spec) const {
    const auto weight = specs_.find(WeightOf(spec.name));
    if (weight != specs_.end() && weight->second.kind == "norm") {
      return at::full(spec.shape, &weight->second == &spec ? 1.0 : 0.0, at::kFloat);
    }
    const Rule& rule = *std::find_if(std::begin(kRules), std::end(kRules),
                                     [&](const Rule& r) { return GlobMatches(r.name, spec.name); });
    at::Tensor tensor = at::zeros(spec.shape, at::kFloat);
    Fill(rule, spec, weight == specs_.end() ? spec : weight->second, tensor);
    return tensor;
  }

  // `weight`: the tensor whose inputs count; of a bias the weight beside it.
  void Fill(const Rule& rule, const WeightSpec& spec, const WeightSpec& weight,
            at::Tensor& tensor) const {
    Random random = Random::ForStream(seed_, Fnv1a64(spec.name));
    int64_t kernel = 1;
    for (size_t i = 2; i < weight.shape.size(); ++i) kernel *= weight.shape[i];
    const int64_t first = weight.shape.empty() ? 1 : weight.shape[0];
    const int64_t second = weight.shape.size() < 2 ? 1 : weight.shape[1];
    const auto fan_in = static_cast<double>(second * kernel);
    // A depthwise kernel has one output a channel.
    const bool depthwise = weight.shape.size() == 4 && second == 1;
    const auto fan_out = static_cast<double>(depthwise ? kernel : first * kernel);
    switch (rule.draw) {
      case Draw::kZero:
        return;
      case Draw::kOne:
        tensor.fill_(1);
        return;
      case Draw::kNormal:
      case Draw::kTruncated:
        return Normal(rule.factor, rule.draw == Draw::kTruncated ? 2 : HUGE_VAL, random, tensor);
      case Draw::kKaimingFanOut:
        return Normal(std::sqrt(2 / fan_out), HUGE_VAL, random, tensor);
      case Draw::kXavier:
        return Uniform(std::sqrt(6 / (fan_in + fan_out)), random, tensor);
      case Draw::kKaiming:
        return Uniform(std::sqrt(3 / fan_in), random, tensor);
      case Draw::kLinear:
        return Uniform(1 / std::sqrt(fan_in), random, tensor);
      case Draw::kRays:
        return Rays(spec.name, tensor);
    }
  }

  static void Uniform(double bound, Random& random, at::Tensor& tensor) {
    float* out = tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      out[i] = static_cast<float>(random.Uniform(-bound, bound));
    }
  }

  static void Normal(double deviation, double limit, Random& random, at::Tensor& tensor) {
    float* out = tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      double value = 0;
      do {  // Box and Muller
        const double radius = std::sqrt(-2 * std::log(1 - random.Unit()));
        value = deviation * radius * std::cos(2 * std::numbers::pi * random.Unit());
      } while (std::abs(value) > limit);
      out[i] = static_cast<float>(value);
    }
  }

  // [heads, levels, points, 2]: head h looks in direction 2 pi h / heads, its longer
  // coordinate 1, point p at p + 1 times that.
  void Rays(const std::string& name, at::Tensor& tensor) const {
    const bool encoder = absl::StrContains(name, "pixel_decoder");
    const int64_t heads = encoder ? config_.pixel_decoder.heads : config_.decoder.heads;
    const int64_t points = encoder ? config_.pixel_decoder.points : config_.decoder.points;
    const int64_t levels = tensor.numel() / (heads * points * 2);
    float* out = tensor.mutable_data_ptr<float>();
    for (int64_t head = 0; head < heads; ++head) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(head) / heads;
      const double x = std::cos(angle), y = std::sin(angle);
      const double longer = std::max(std::abs(x), std::abs(y));
      for (int64_t sample = 0; sample < levels * points; ++sample) {
        const auto step = static_cast<double>(sample % points + 1);
        *out++ = static_cast<float>(x / longer * step);
        *out++ = static_cast<float>(y / longer * step);
      }
    }
  }

  const ModelConfig& config_;
  const uint64_t seed_;
  std::map<std::string, WeightSpec> specs_;
};

}  // namespace

absl::StatusOr<NamedTensors> InitialWeights(const ModelConfig& config, uint64_t seed) {
  return CatchTorch([&] { return Initialiser(config, seed).All(); });
}

}  // namespace semsam
