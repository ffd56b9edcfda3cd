// Lists of words on their way from a request to text embeddings.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_SERVER_PIPELINE_WORDS_H_
#define SEMSAM_SERVER_PIPELINE_WORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/model_vocabulary.h"
#include "model/base/types.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

struct WordLimits {
  int max_words = 2000;     // of a list
  int max_characters = 64;  // Unicode code points of a word
};

// A list without repeats. Terms that clean alike are one word, under the first
// spelling.
struct WordTable {
  TextMode mode = TextMode::kEnsemble;
  std::vector<std::string> terms;  // cleaned: what is encoded
  std::vector<std::string> names;  // a term's first spelling in the request
  std::vector<int> word_index;     // of that spelling in the request's list
  // [terms, text_dim], after the words stage.
  std::vector<float> embeddings;

  int size() const { return static_cast<int>(terms.size()); }
};

// Bytes of the embeddings of `words` words.
int64_t WordBytes(int64_t words, int text_dim);

// `words`, read as the model was trained where they say no mode and it lists words, or,
// where they ask for it, the model's own list: `own`, of `vocabulary`.
// FAILED_PRECONDITION (`field`.model_vocabulary) if that is empty: no word is made up.
// INVALID_ARGUMENT (`field`.words) for words beside it.
absl::StatusOr<UserWords> ResolveWords(const UserWords& words, std::string_view field,
                                       const std::vector<std::string>& own,
                                       const ModelVocabulary& vocabulary);

// INVALID_ARGUMENT for a list that is too long (`field`.words) and for a word that
// is empty, too long or no UTF-8 (`field`.words[i]). A word's length is judged
// before anything else is done with it. Words of `known` (may be null) are left
// out.
absl::StatusOr<WordTable> CleanWords(const UserWords& words, std::string_view field,
                                     const WordLimits& limits, const WordTable* known = nullptr);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_WORDS_H_
