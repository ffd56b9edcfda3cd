// CLIP's tokenizer (Radford et al. 2021), as the published text encoder uses it.
#ifndef SEMSAM_MODEL_TEXT_TOKENIZER_H_
#define SEMSAM_MODEL_TEXT_TOKENIZER_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/text/byte_pairs.h"

namespace semsam {

// Texts to token ids. The vocabulary is inside the library. Keeps nothing of the
// texts. Immutable, safe to share between threads.
class Tokenizer {
 public:
  static constexpr int32_t kStart = 49406;
  static constexpr int32_t kEnd = 49407;  // also what pads
  static constexpr int32_t kVocabularySize = 49408;

  // DATA_LOSS if the vocabulary that the library was built with is damaged.
  static absl::StatusOr<Tokenizer> Create();

  // The ids of a text, cleaned first (clean_text.h), all of them; none for a text
  // of white space. "<|startoftext|>" and "<|endoftext|>" in a text are kStart and
  // kEnd. Time grows with n log n. INVALID_ARGUMENT (`text`) if it is not UTF-8.
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text) const;

  // kStart, the first `context` - 2 ids, kEnd; not padded. `context` is at least 2.
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text, int context) const;

 private:
  explicit Tokenizer(BytePairs pairs) : pairs_(std::move(pairs)) {}

  BytePairs pairs_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_TOKENIZER_H_
