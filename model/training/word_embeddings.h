// Words as the class heads meet them. The text encoder is not trained, so each word is
// embedded once.
#ifndef SEMSAM_MODEL_TRAINING_WORD_EMBEDDINGS_H_
#define SEMSAM_MODEL_TRAINING_WORD_EMBEDDINGS_H_

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/torch/torch.h"

namespace semsam {

// Not thread-safe.
class WordEmbeddings {
 public:
  // Rows [words, D] of unit norm, of an encoder of any kind.
  using Embed =
      std::function<absl::StatusOr<std::vector<float>>(absl::Span<const std::string> words)>;

  WordEmbeddings(int64_t width, Embed embed) : width_(width), embed_(std::move(embed)) {}

  // [words, D] float32 on the CPU, in the order of `words`. Errors: those of the
  // encoder; INVALID_ARGUMENT that names a word which a table does not have.
  absl::StatusOr<at::Tensor> Rows(absl::Span<const std::string> words);

 private:
  const int64_t width_;
  const Embed embed_;
  std::unordered_map<std::string, std::vector<float>> known_;
};

// A table of words that were embedded elsewhere: a safetensors file with a tensor
// "embeddings" [N, width] and in its metadata "words", a JSON array of N texts. Rows
// are scaled to unit norm. Errors: INVALID_ARGUMENT that names the file.
absl::StatusOr<std::unique_ptr<WordEmbeddings>> ReadWordTable(const std::string& path,
                                                              int64_t width);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_WORD_EMBEDDINGS_H_
