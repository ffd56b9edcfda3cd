// A model's own words as JSON, as weight files carry them:
//
//   {"mode": "plain", "objects": ["cat", ..], "parts": ["head", ..]}
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_VOCABULARY_JSON_H_
#define SEMSAM_MODEL_WEIGHTS_VOCABULARY_JSON_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/base/model_vocabulary.h"

namespace semsam {

// On one line. INVALID_ARGUMENT for what the reader refuses.
absl::StatusOr<std::string> VocabularyToJson(const ModelVocabulary& vocabulary);

// INVALID_ARGUMENT naming the field (`objects[3]`) which is missing, unknown, of the
// wrong type, empty, repeated or beyond the bounds of model_vocabulary.h.
absl::StatusOr<ModelVocabulary> VocabularyFromJson(std::string_view text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_VOCABULARY_JSON_H_
