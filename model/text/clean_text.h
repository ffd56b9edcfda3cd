// Text as the tokenizer reads it. Torch-free; thread-safe: free functions.
#ifndef SEMSAM_MODEL_TEXT_CLEAN_TEXT_H_
#define SEMSAM_MODEL_TEXT_CLEAN_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace semsam {

// Mended (broken encodings, entities, width and ligature variants, quotes, as the
// published tokenizer's ftfy does), white space collapsed and trimmed, lower case,
// NFC. Texts that clean alike have the same embedding. INVALID_ARGUMENT if `text`
// is not UTF-8; a text of white space alone cleans to nothing.
absl::StatusOr<std::string> CleanText(std::string_view text);

// Unicode code points of valid UTF-8; -1 if it is not.
int64_t CountCharacters(std::string_view text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_CLEAN_TEXT_H_
