#include "model/weights/vocabulary_json.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/shown_name.h"
#include "nlohmann/json.hpp"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

// Both lists full of long words, escaped, are below.
constexpr size_t kMaxTextBytes = 4 << 20;
constexpr char kPlain[] = "plain";
constexpr char kEnsemble[] = "ensemble";

absl::Status CheckList(const std::vector<std::string>& words, const char* field) {
  if (words.size() > kMaxVocabularyWords) {
    return InvalidField(field, absl::StrCat("has ", words.size(), " words; at most ",
                                            kMaxVocabularyWords, " are allowed"));
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string place = absl::StrCat(field, "[", i, "]");
    if (words[i].empty()) return InvalidField(place, "is empty");
    if (words[i].size() > kMaxVocabularyWordBytes) return InvalidField(place, "is too long");
    if (!seen.insert(words[i]).second) return InvalidField(place, "is there before");
  }
  return absl::OkStatus();
}

absl::Status Check(const ModelVocabulary& vocabulary) {
  SEMSAM_RETURN_IF_ERROR(CheckList(vocabulary.objects, "objects"));
  return CheckList(vocabulary.parts, "parts");
}

absl::StatusOr<std::vector<std::string>> ReadList(const Json& json, const char* field) {
  if (!json.is_array()) return InvalidField(field, "is no list");
  if (json.size() > kMaxVocabularyWords) return InvalidField(field, "has too many words");
  std::vector<std::string> words;
  for (const Json& word : json) {
    if (!word.is_string()) {
      return InvalidField(absl::StrCat(field, "[", words.size(), "]"), "is no text");
    }
    words.push_back(word.get<std::string>());
  }
  return words;
}

}  // namespace

absl::StatusOr<std::string> VocabularyToJson(const ModelVocabulary& vocabulary) {
  SEMSAM_RETURN_IF_ERROR(Check(vocabulary));
  const Json json = {{"mode", vocabulary.mode == TextMode::kPlain ? kPlain : kEnsemble},
                     {"objects", vocabulary.objects},
                     {"parts", vocabulary.parts}};
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  // A word that is no UTF-8 was replaced, and is not what was asked for.
  const absl::StatusOr<ModelVocabulary> read = VocabularyFromJson(text);
  if (!read.ok()) return read.status();
  if (*read != vocabulary) return absl::InvalidArgumentError("a word is no UTF-8");
  return text;
}

absl::StatusOr<ModelVocabulary> VocabularyFromJson(std::string_view text) {
  if (text.size() > kMaxTextBytes) return absl::InvalidArgumentError("is too long");
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("is no JSON object");
  ModelVocabulary vocabulary;
  std::set<std::string> missing = {"mode", "objects", "parts"};
  for (const auto& [key, value] : json.items()) {
    if (missing.erase(key) == 0) return InvalidField(ShownName(key), "is unknown");
    if (key == "objects") {
      SEMSAM_ASSIGN_OR_RETURN(vocabulary.objects, ReadList(value, "objects"));
    } else if (key == "parts") {
      SEMSAM_ASSIGN_OR_RETURN(vocabulary.parts, ReadList(value, "parts"));
    } else if (value != kPlain && value != kEnsemble) {
      return InvalidField("mode", "must be plain or ensemble");
    } else {
      vocabulary.mode = value == kPlain ? TextMode::kPlain : TextMode::kEnsemble;
    }
  }
  if (!missing.empty()) return InvalidField(*missing.begin(), "is missing");
  SEMSAM_RETURN_IF_ERROR(Check(vocabulary));
  return vocabulary;
}

}  // namespace semsam
