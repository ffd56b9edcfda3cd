// The words that a model was trained to tell apart, as its weight file lists them.
#ifndef SEMSAM_MODEL_BASE_MODEL_VOCABULARY_H_
#define SEMSAM_MODEL_BASE_MODEL_VOCABULARY_H_

#include <cstddef>
#include <string>
#include <vector>

#include "model/base/types.h"

namespace semsam {

// Of one list; what a server takes of a request by default.
inline constexpr size_t kMaxVocabularyWords = 2000;
inline constexpr size_t kMaxVocabularyWordBytes = 256;

struct ModelVocabulary {
  // UTF-8, the most seen in training first.
  std::vector<std::string> objects;
  std::vector<std::string> parts;
  // How training read them.
  TextMode mode = TextMode::kPlain;

  bool empty() const { return objects.empty() && parts.empty(); }
  friend bool operator==(const ModelVocabulary&, const ModelVocabulary&) = default;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_MODEL_VOCABULARY_H_
