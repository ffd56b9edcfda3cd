// What the parts of vocabulary inference share: checks of what comes in, and class
// probabilities.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_VOCABULARY_CHECKS_H_
#define SEMSAM_MODEL_IMAGE_VOCABULARY_CHECKS_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "model/image/vocabulary_inference.h"

namespace semsam {

// OK where all sizes agree, mask logits and boxes are finite and no class logit is
// NaN. INTERNAL otherwise: the queries come from a model, not from a client.
absl::Status ValidateQueries(const VocabularyQueries& queries);

// INVALID_ARGUMENT, field `output`, for an empty or an immense one.
absl::Status ValidateOutput(ImageSize output);
// INVALID_ARGUMENT, field `temperature`, unless positive and finite.
absl::Status ValidateTemperature(float temperature);
// INVALID_ARGUMENT, field `field`, unless from 0 to 1.
absl::Status ValidateShare(float value, const char* field);

// CANCELLED if `cancelled` is there and says so.
absl::Status CheckCancelled(const std::function<bool()>& cancelled);

// sigmoid of the class logits of the first `count` queries, [count, C].
std::vector<float> ClassProbabilities(const VocabularyQueries& queries, int count);

// softmax(probabilities / temperature) of one query, in place.
void SharpenProbabilities(absl::Span<float> probabilities, float temperature);

inline LogitsView QueryLogits(const VocabularyQueries& queries, int query) {
  return {queries.grid,
          queries.mask_logits.data() + static_cast<size_t>(query) * queries.grid.area()};
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_VOCABULARY_CHECKS_H_
