#include "model/weights/config_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/shown_name.h"
#include "nlohmann/json.hpp"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTextBytes = 64 * 1024;
constexpr size_t kMaxNameBytes = 200;
constexpr int kMaxWidth = 16384;
constexpr int kMaxCount = 256;
constexpr int kMaxHeads = 1024;
constexpr int kMaxWindow = 64;
constexpr int kMaxTerms = 1 << 20;

// The fields, once for both directions: `Visitor` is a Writer or a Reader and
// `Config` accordingly constant or not.
template <typename Visitor, typename Swin>
void VisitSwin(Visitor& v, Swin& swin) {
  v.Int("patch_size", swin.patch_size, kMaxWindow);
  v.Int("embed_dim", swin.embed_dim, kMaxWidth);
  v.Ints("depths", swin.depths, kMaxCount);
  v.Ints("heads", swin.heads, kMaxHeads);
  v.Int("window_size", swin.window_size, kMaxWindow);
  v.Int("mlp_ratio", swin.mlp_ratio, kMaxWindow);
}

template <typename Visitor, typename EfficientNetLite>
void VisitEfficientNetLite(Visitor& v, EfficientNetLite& net) {
  v.Int("stem_width", net.stem_width, kMaxWidth);
  v.Ints("widths", net.widths, kMaxWidth);
  v.Ints("depths", net.depths, kMaxCount);
}

// In the order of BackboneConfig.
constexpr std::array<const char*, std::variant_size_v<BackboneConfig>> kBackbones = {
    "swin", "efficientnet_lite"};

template <typename Visitor, typename Backbone>
void VisitBackbone(Visitor& v, Backbone& backbone) {
  v.Kind("type", backbone);
  if (auto* swin = std::get_if<SwinConfig>(&backbone)) VisitSwin(v, *swin);
  if (auto* net = std::get_if<EfficientNetLiteConfig>(&backbone)) VisitEfficientNetLite(v, *net);
}

template <typename Visitor, typename PixelDecoder>
void VisitPixelDecoder(Visitor& v, PixelDecoder& pixel) {
  v.Int("hidden_dim", pixel.hidden_dim, kMaxWidth);
  v.Int("feature_levels", pixel.feature_levels, kMaxCount);
  v.Int("backbone_levels", pixel.backbone_levels, kMaxCount);
  v.Int("layers", pixel.layers, kMaxCount);
  v.Int("heads", pixel.heads, kMaxHeads);
  v.Int("points", pixel.points, kMaxCount);
  v.Int("ffn_dim", pixel.ffn_dim, 4 * kMaxWidth);
  v.Int("norm_groups", pixel.norm_groups, kMaxWidth);
  v.Int("mask_dim", pixel.mask_dim, kMaxWidth);
}

template <typename Visitor, typename Maps>
void VisitPromptMaps(Visitor& v, Maps& maps) {
  v.FloatList("sigmas", maps.sigmas);
  v.FloatList("ramps", maps.ramps);
}

template <typename Visitor, typename Additions>
void VisitAdditions(Visitor& v, Additions& additions) {
  v.Object("prompt_maps", [&](Visitor& inner) { VisitPromptMaps(inner, additions.prompt_maps); });
  v.Bool("click_features", additions.click_features);
  v.Bool("pooled_features", additions.pooled_features);
}

template <typename Visitor, typename Decoder>
void VisitDecoder(Visitor& v, Decoder& decoder) {
  v.Int("layers", decoder.layers, kMaxCount);
  v.Int("heads", decoder.heads, kMaxHeads);
  v.Int("points", decoder.points, kMaxCount);
  v.Int("ffn_dim", decoder.ffn_dim, 4 * kMaxWidth);
  v.Int("tokens", decoder.tokens, kMaxCount);
  v.Int("text_dim", decoder.text_dim, kMaxWidth);
  v.Addition("additions", decoder.additions,
             [](Visitor& inner, auto& additions) { VisitAdditions(inner, additions); });
}

template <typename Visitor, typename Text>
void VisitText(Visitor& v, Text& text) {
  v.Int("width", text.width, kMaxWidth);
  v.Int("layers", text.layers, kMaxCount);
  v.Int("heads", text.heads, kMaxHeads);
  v.Int("context", text.context, kMaxWidth);
  v.Int("vocabulary_size", text.vocabulary_size, kMaxTerms);
  v.Int("mlp_ratio", text.mlp_ratio, kMaxWindow);
  v.IntUnlessZero("token_rank", text.token_rank, kMaxWidth);
}

template <typename Visitor, typename Vocabulary>
void VisitVocabulary(Visitor& v, Vocabulary& vocabulary) {
  v.Int("queries", vocabulary.queries, kMaxWidth);
  v.Int("learned_queries", vocabulary.learned_queries, kMaxWidth);
  v.Int("top_instances", vocabulary.top_instances, kMaxWidth);
  v.Float("object_threshold", vocabulary.object_threshold);
  v.Float("overlap_threshold", vocabulary.overlap_threshold);
  v.Float("score_temperature", vocabulary.score_temperature);
}

template <typename Visitor, typename Capabilities>
void VisitCapabilities(Visitor& v, Capabilities& capabilities) {
  v.Bool("click_prompts", capabilities.click_prompts);
  v.Bool("box_prompts", capabilities.box_prompts);
  v.Bool("object_labels", capabilities.object_labels);
  v.Bool("part_labels", capabilities.part_labels);
  v.Bool("vocabulary", capabilities.vocabulary);
}

template <typename Visitor, typename Config>
void VisitConfig(Visitor& v, Config& config) {
  v.Text("name", config.name);
  v.Object("backbone", [&](Visitor& inner) { VisitBackbone(inner, config.backbone); });
  v.Object("pixel_decoder",
           [&](Visitor& inner) { VisitPixelDecoder(inner, config.pixel_decoder); });
  v.Object("decoder", [&](Visitor& inner) { VisitDecoder(inner, config.decoder); });
  v.Optional("text", config.text, [](Visitor& inner, auto& text) { VisitText(inner, text); });
  v.Optional("vocabulary", config.vocabulary,
             [](Visitor& inner, auto& vocabulary) { VisitVocabulary(inner, vocabulary); });
  v.Ints("level_to_token", config.level_to_token, kMaxCount);
  v.Int("short_edge_px", config.short_edge_px, kMaxWidth);
  v.Int("size_divisor", config.size_divisor, kMaxWidth);
  v.Floats("pixel_mean", config.pixel_mean);
  v.Floats("pixel_std", config.pixel_std);
  v.Float("click_size", config.click_size);
  v.Int("click_point_or_box", config.click_point_or_box, 1);
  v.Int("box_point_or_box", config.box_point_or_box, 1);
  v.Object("capabilities", [&](Visitor& inner) { VisitCapabilities(inner, config.capabilities); });
}

// The double with the fewest digits that still rounds to `value`, so that a
// file says 0.005 and not 0.004999999888241291.
double ShortDouble(float value) {
  std::array<char, 64> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  double parsed = 0;
  std::from_chars(text.data(), end, parsed);
  return static_cast<float>(parsed) == value ? parsed : value;
}

class Writer {
 public:
  Json json = Json::object();

  void Text(const char* field, const std::string& value) { json[field] = value; }
  void Kind(const char* field, const BackboneConfig& backbone) {
    json[field] = kBackbones[backbone.index()];
  }
  void Int(const char* field, int value, int) { json[field] = value; }
  // Of options that the published models are without: absent where they are off.
  void IntUnlessZero(const char* field, int value, int) {
    if (value != 0) json[field] = value;
  }
  void Ints(const char* field, const std::vector<int>& values, int) { json[field] = values; }
  void Bool(const char* field, bool value) { json[field] = value; }
  void Float(const char* field, float value) { json[field] = ShortDouble(value); }
  void Floats(const char* field, const std::array<float, 3>& values) {
    for (const float value : values) json[field].push_back(ShortDouble(value));
  }
  void FloatList(const char* field, const std::vector<float>& values) {
    json[field] = Json::array();
    for (const float value : values) json[field].push_back(ShortDouble(value));
  }
  template <typename Visit>
  void Object(const char* field, const Visit& visit) {
    Writer inner;
    visit(inner);
    json[field] = std::move(inner.json);
  }
  // Absent: null.
  template <typename Part, typename Visit>
  void Optional(const char* field, const std::optional<Part>& part, const Visit& visit) {
    json[field] = nullptr;
    if (part) Object(field, [&](Writer& inner) { visit(inner, *part); });
  }
  // What was not always there: a file without it is one of before, and means the
  // default. Written where it differs from that.
  template <typename Part, typename Visit>
  void Addition(const char* field, const Part& part, const Visit& visit) {
    if (part != Part()) Object(field, [&](Writer& inner) { visit(inner, part); });
  }
};

class Reader {
 public:
  Reader(const Json& json, std::string path, absl::Status& status)
      : json_(json), path_(std::move(path)), status_(status) {}

  void Text(const char* field, std::string& value) {
    const Json* json = Field(field);
    if (json == nullptr) return;
    if (!json->is_string() || json->get_ref<const std::string&>().size() > kMaxNameBytes) {
      return Fail(field, "must be a short text");
    }
    value = json->get<std::string>();
  }

  // Makes `backbone` one of the kind that the text names.
  void Kind(const char* field, BackboneConfig& backbone) {
    std::string value;
    Text(field, value);
    if (value == kBackbones[0]) {
      backbone.emplace<0>();
    } else if (value == kBackbones[1]) {
      backbone.emplace<1>();
    } else {
      Fail(field, absl::StrCat("must be ", absl::StrJoin(kBackbones, " or ")));
    }
  }

  void Int(const char* field, int& value, int max) {
    if (const Json* json = Field(field); json != nullptr) ReadInt(*json, field, value, max);
  }

  void IntUnlessZero(const char* field, int& value, int max) {
    value = 0;
    if (json_.contains(field)) Int(field, value, max);
  }

  void Ints(const char* field, std::vector<int>& values, int max) {
    const Json* json = Field(field);
    if (json == nullptr) return;
    if (!json->is_array() || json->size() > kMaxCount) return Fail(field, "must be a short list");
    values.assign(json->size(), 0);
    for (size_t i = 0; i < values.size(); ++i) ReadInt((*json)[i], field, values[i], max);
  }

  void Bool(const char* field, bool& value) {
    const Json* json = Field(field);
    if (json == nullptr) return;
    if (!json->is_boolean()) return Fail(field, "must be true or false");
    value = json->get<bool>();
  }

  void Float(const char* field, float& value) {
    if (const Json* json = Field(field); json != nullptr) ReadFloat(*json, field, value);
  }

  void Floats(const char* field, std::array<float, 3>& values) {
    const Json* json = Field(field);
    if (json == nullptr) return;
    if (!json->is_array() || json->size() != 3) return Fail(field, "must be three numbers");
    for (size_t i = 0; i < 3; ++i) ReadFloat((*json)[i], field, values[i]);
  }

  void FloatList(const char* field, std::vector<float>& values) {
    const Json* json = Field(field);
    if (json == nullptr) return;
    if (!json->is_array() || json->size() > kMaxCount) return Fail(field, "must be a short list");
    values.assign(json->size(), 0);
    for (size_t i = 0; i < values.size(); ++i) ReadFloat((*json)[i], field, values[i]);
  }

  template <typename Visit>
  void Object(const char* field, const Visit& visit) {
    const Json* json = Field(field);
    if (json == nullptr) return;
    if (!json->is_object()) return Fail(field, "must be an object");
    Reader inner(*json, absl::StrCat(path_, field, "."), status_);
    visit(inner);
    inner.CheckNothingElse();
  }

  template <typename Part, typename Visit>
  void Optional(const char* field, std::optional<Part>& part, const Visit& visit) {
    const Json* json = Field(field);
    part.reset();
    if (json == nullptr || json->is_null()) return;
    part.emplace();
    Object(field, [&](Reader& inner) { visit(inner, *part); });
  }

  template <typename Part, typename Visit>
  void Addition(const char* field, Part& part, const Visit& visit) {
    part = Part();
    if (json_.contains(field)) Object(field, [&](Reader& inner) { visit(inner, part); });
  }

  void CheckNothingElse() {
    for (const auto& [key, value] : json_.items()) {
      if (seen_.count(key) == 0) return Fail(ShownName(key), "is not known");
    }
  }

 private:
  // Keeps the first failure; later ones follow from it.
  void Fail(const std::string& field, const std::string& message) {
    if (status_.ok()) status_ = InvalidField(path_ + field, message);
  }

  const Json* Field(const char* field) {
    seen_.insert(field);
    const auto found = json_.find(field);
    if (found != json_.end()) return &*found;
    Fail(field, "is missing");
    return nullptr;
  }

  void ReadInt(const Json& json, const char* field, int& value, int max) {
    // is_number_unsigned: of a negative number it is false.
    if (!json.is_number_unsigned() || json.get<uint64_t>() > static_cast<uint64_t>(max)) {
      return Fail(field, absl::StrCat("must be a whole number from 0 to ", max));
    }
    value = json.get<int>();
  }

  void ReadFloat(const Json& json, const char* field, float& value) {
    if (!json.is_number()) return Fail(field, "must be a number");
    const auto wide = json.get<double>();
    if (!(std::fabs(wide) <= 1e30)) return Fail(field, "is too large");
    value = static_cast<float>(wide);
  }

  const Json& json_;
  const std::string path_;
  absl::Status& status_;
  std::set<std::string> seen_;
};

}  // namespace

std::string ConfigToJson(const ModelConfig& config) {
  Writer writer;
  VisitConfig(writer, config);
  // A name that is not UTF-8 is the only thing that could fail; it is shown.
  return writer.json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<ModelConfig> ConfigFromJson(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError("the model configuration is too long");
  }
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("the model configuration is no JSON object");
  }
  ModelConfig config;
  absl::Status status;
  Reader reader(json, "", status);
  VisitConfig(reader, config);
  reader.CheckNothingElse();
  SEMSAM_RETURN_IF_ERROR(status);
  SEMSAM_RETURN_IF_ERROR(Validate(config));
  return config;
}

absl::Status CheckConfig(const ModelConfig& config) {
  // The bounds stand with the fields, and reading applies them.
  return ConfigFromJson(ConfigToJson(config)).status();
}

}  // namespace semsam
