#include "model/tools/inspect/words_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxNumber = 1 << 20;
constexpr int kMaxSide_px = 1 << 14;

// A whole number from `least` to `most`.
absl::StatusOr<int> ParseInt(const Json& json, int least, int most, const std::string& field) {
  if (!json.is_number_integer() || json < least || json > most) {
    return InvalidField(field, absl::StrCat("must be a whole number from ", least, " to ", most));
  }
  return json.get<int>();
}

absl::StatusOr<float> ParseFraction(const Json& json, const std::string& field) {
  if (!json.is_number() || !(json.get<double>() >= 0 && json.get<double>() <= 1)) {
    return InvalidField(field, "must be a number from 0 to 1");
  }
  return json.get<float>();
}

absl::StatusOr<std::vector<std::string>> ParseNames(const Json& json, const std::string& field) {
  if (!json.is_array()) return InvalidField(field, "must be a list of names");
  std::vector<std::string> names;
  for (size_t i = 0; i < json.size(); ++i) {
    if (!json[i].is_string() || json[i].get_ref<const std::string&>().empty()) {
      return InvalidField(absl::StrCat(field, "[", i, "]"), "must be a name");
    }
    names.push_back(json[i].get<std::string>());
  }
  return names;
}

absl::StatusOr<std::vector<int64_t>> ParseIndices(const Json& json, int end,
                                                  const std::string& field) {
  if (!json.is_array()) return InvalidField(field, "must be a list of numbers");
  std::vector<int64_t> indices;
  for (size_t i = 0; i < json.size(); ++i) {
    SEMSAM_ASSIGN_OR_RETURN(const int index,
                            ParseInt(json[i], 0, end - 1, absl::StrCat(field, "[", i, "]")));
    indices.push_back(index);
  }
  return indices;
}

absl::StatusOr<PanopticPreset> ParsePreset(const std::string& name, const Json& json) {
  const std::string field = absl::StrCat("presets.", name);
  const bool file_name = !name.empty() && name.size() <= 40 &&
                         std::all_of(name.begin(), name.end(), [](unsigned char c) {
                           return absl::ascii_isalnum(c) || c == '_';
                         });
  if (!file_name) return InvalidField(field, "a name is letters, digits and '_'");
  if (!json.is_array() || json.size() != 3) {
    return InvalidField(field, "must be object threshold, overlap threshold, temperature");
  }
  PanopticPreset preset{.name = name};
  SEMSAM_ASSIGN_OR_RETURN(preset.object_threshold, ParseFraction(json[0], field + "[0]"));
  SEMSAM_ASSIGN_OR_RETURN(preset.overlap_threshold, ParseFraction(json[1], field + "[1]"));
  preset.temperature.reset();
  if (!json[2].is_null()) {
    SEMSAM_ASSIGN_OR_RETURN(preset.temperature, ParseFraction(json[2], field + "[2]"));
    if (*preset.temperature == 0) return InvalidField(field + "[2]", "must be positive or null");
  }
  return preset;
}

absl::Status ParsePresets(const Json& json, std::vector<PanopticPreset>& presets) {
  if (!json.is_object()) return InvalidField("presets", "must be an object");
  presets.clear();
  for (const auto& item : json.items()) {
    SEMSAM_ASSIGN_OR_RETURN(PanopticPreset preset, ParsePreset(item.key(), item.value()));
    presets.push_back(std::move(preset));
  }
  return absl::OkStatus();
}

absl::Status ParseOutput(const Json& json, std::optional<ImageSize>& output) {
  if (!json.is_array() || json.size() != 2) {
    return InvalidField("output", "must be height, width");
  }
  output.emplace();
  SEMSAM_ASSIGN_OR_RETURN(output->height, ParseInt(json[0], 1, kMaxSide_px, "output[0]"));
  SEMSAM_ASSIGN_OR_RETURN(output->width, ParseInt(json[1], 1, kMaxSide_px, "output[1]"));
  return absl::OkStatus();
}

absl::Status ParseThings(const Json& json, const std::string& field, WordsFile& words) {
  const int classes = static_cast<int>(words.classes.size());
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<int64_t> things, ParseIndices(json, classes, field));
  for (const int64_t thing : things) words.is_thing[static_cast<size_t>(thing)] = true;
  return absl::OkStatus();
}

// Everything but the classes, which come first wherever they stand.
absl::Status ParseMember(const std::string& key, const std::string& classes, const Json& json,
                         WordsFile& words) {
  if (key == classes || key == "stuff_contiguous_ids") return absl::OkStatus();
  if (key == "things" || key == "thing_contiguous_ids") return ParseThings(json, key, words);
  if (key == "presets") return ParsePresets(json, words.presets);
  if (key == "output") return ParseOutput(json, words.output);
  if (key == "mode") {
    if (json != "ensemble" && json != "plain") {
      return InvalidField(key, "must be \"ensemble\" or \"plain\"");
    }
    words.mode = json == "plain" ? TextMode::kPlain : TextMode::kEnsemble;
  } else if (key == "parts") {
    SEMSAM_ASSIGN_OR_RETURN(words.parts, ParseNames(json, key));
  } else if (key == "queries") {
    SEMSAM_ASSIGN_OR_RETURN(words.queries, ParseInt(json, 1, kMaxNumber, key));
  } else if (key == "top_instances") {
    SEMSAM_ASSIGN_OR_RETURN(words.top_instances, ParseInt(json, 1, kMaxNumber, key));
  } else if (key == "mask_queries") {
    SEMSAM_ASSIGN_OR_RETURN(words.mask_queries, ParseIndices(json, kMaxNumber, key));
  } else {
    return InvalidField(key, "is not known");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WordsFile> ParseWords(const std::string& json) {
  Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (document.is_array()) {
    Json object = Json::object();
    object["classes"] = std::move(document);
    document = std::move(object);
  }
  if (!document.is_object()) {
    return absl::InvalidArgumentError("the words are neither a JSON object nor a list");
  }
  WordsFile words;
  std::string classes = "classes";
  for (const char* key : {"names", "words"}) {
    if (document.contains(key)) classes = key;
  }
  if (!document.contains(classes)) return InvalidField("classes", "is missing");
  SEMSAM_ASSIGN_OR_RETURN(words.classes, ParseNames(document[classes], classes));
  if (words.classes.empty()) return InvalidField(classes, "must not be empty");
  words.is_thing.resize(words.classes.size());
  words.presets = {{"P0", 0.25f, 0.8f, 0.06f},
                   {"P1", 0.25f, 0.05f, 0.06f},
                   {"P2", 0.9f, 0.2f, 0.06f},
                   {"P3", 0.6f, 0.05f, std::nullopt},
                   {"P4", 0.99f, 0.3f, 0.06f}};
  for (const auto& item : document.items()) {
    SEMSAM_RETURN_IF_ERROR(ParseMember(item.key(), classes, item.value(), words));
  }
  return words;
}

}  // namespace semsam
