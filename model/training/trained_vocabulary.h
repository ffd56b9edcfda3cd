// The words that a recipe's data teaches: what a model lists as its own.
#ifndef SEMSAM_MODEL_TRAINING_TRAINED_VOCABULARY_H_
#define SEMSAM_MODEL_TRAINING_TRAINED_VOCABULARY_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "model/base/model_vocabulary.h"
#include "model/training/recipe.h"

namespace semsam {

inline constexpr size_t kMaxVocabularySamples = 20'000;

// The names of objects and of parts that a picture of the training has most often,
// by falling share of such pictures, those of COCO
// without their suffixes (PlainTerm), as many as recipe.result says; the mode is the
// recipe's. Reads the annotations of the samples that are trained on (of a source with
// more than kMaxVocabularySamples, so many, evenly spaced), no picture.
// Words that fit a pattern of recipe.result, or are longer than a server takes by default are left
// out, and so are samples that cannot be read. Errors: a source that cannot be opened, by its name.
absl::StatusOr<ModelVocabulary> TrainedVocabulary(const Recipe& recipe);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TRAINED_VOCABULARY_H_
