#include "server/pipeline/words.h"

#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/text/clean_text.h"

namespace semsam {
namespace {

constexpr size_t kMaxUtf8Bytes = 4;  // of a code point

absl::StatusOr<std::string> CleanWord(const std::string& word, const std::string& path,
                                      const WordLimits& limits) {
  const auto too_long = [&] {
    return InvalidField(path, absl::StrCat("is longer than ", limits.max_characters, " characters"),
                        reason::kLimitExceeded);
  };
  if (word.size() > kMaxUtf8Bytes * limits.max_characters) return too_long();
  const int64_t characters = CountCharacters(word);
  if (characters < 0) return InvalidField(path, "is not UTF-8");
  if (characters > limits.max_characters) return too_long();
  SEMSAM_ASSIGN_OR_RETURN(std::string term, CleanText(word));
  if (term.empty()) return InvalidField(path, "is empty");
  return term;
}

}  // namespace

int64_t WordBytes(int64_t words, int text_dim) {
  return words * text_dim * static_cast<int64_t>(sizeof(float));
}

absl::StatusOr<UserWords> ResolveWords(const UserWords& words, std::string_view field,
                                       const std::vector<std::string>& own,
                                       const ModelVocabulary& vocabulary) {
  if (!words.model_vocabulary) {
    UserWords resolved = words;
    if (!resolved.mode.has_value() && !vocabulary.empty()) resolved.mode = vocabulary.mode;
    return resolved;
  }
  if (!words.words.empty()) {
    return InvalidField(absl::StrCat(std::string(field), ".words"),
                        "must be empty beside model_vocabulary");
  }
  if (own.empty()) {
    return CapabilityMissing(absl::StrCat(std::string(field), ".model_vocabulary"),
                             "the loaded model lists no words of its own");
  }
  return UserWords{.words = own, .mode = vocabulary.mode};
}

absl::StatusOr<WordTable> CleanWords(const UserWords& words, std::string_view field,
                                     const WordLimits& limits, const WordTable* known) {
  const std::string path = absl::StrCat(std::string(field), ".words");
  if (words.words.size() > static_cast<size_t>(limits.max_words)) {
    return InvalidField(path,
                        absl::StrCat("has ", words.words.size(), " entries; at most ",
                                     limits.max_words, " are allowed"),
                        reason::kLimitExceeded);
  }
  WordTable table{.mode = words.mode.value_or(TextMode::kEnsemble)};
  std::unordered_set<std::string> seen;
  if (known != nullptr) seen.insert(known->terms.begin(), known->terms.end());
  for (size_t i = 0; i < words.words.size(); ++i) {
    SEMSAM_ASSIGN_OR_RETURN(std::string term,
                            CleanWord(words.words[i], absl::StrCat(path, "[", i, "]"), limits));
    if (!seen.insert(term).second) continue;
    table.terms.push_back(std::move(term));
    table.names.push_back(words.words[i]);
    table.word_index.push_back(static_cast<int>(i));
  }
  return table;
}

}  // namespace semsam
