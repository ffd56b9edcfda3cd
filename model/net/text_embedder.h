// From words to unit-norm text embeddings: tokenizer, templates, text encoder.
#ifndef SEMSAM_MODEL_NET_TEXT_EMBEDDER_H_
#define SEMSAM_MODEL_NET_TEXT_EMBEDDER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/base/types.h"
#include "model/net/tensor_map.h"
#include "model/net/text_encoder.h"
#include "model/text/tokenizer.h"

namespace semsam {

// Thread-safe: nothing changes after construction.
class TextEmbedder {
 public:
  // INVALID_ARGUMENT if the model's vocabulary is not CLIP's. Throws c10::Error for
  // a weight that is missing.
  static absl::StatusOr<std::unique_ptr<TextEmbedder>> Create(const TextConfig& config,
                                                              const TensorMap& weights,
                                                              ops::Path path);

  // [terms, text_dim], rows in the order of `terms`: Segmenter::EncodeText.
  absl::StatusOr<std::vector<float>> Embed(absl::Span<const std::string> terms,
                                           TextMode mode) const;

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const TextEncoder& encoder() const { return encoder_; }

 private:
  TextEmbedder(Tokenizer tokenizer, TextEncoder encoder)
      : tokenizer_(std::move(tokenizer)), encoder_(std::move(encoder)) {}

  // Appends what the encoder reads for one term; says how many texts that are.
  absl::StatusOr<size_t> AddTexts(const std::string& term, TextMode mode,
                                  std::vector<std::vector<int32_t>>& texts) const;

  Tokenizer tokenizer_;
  TextEncoder encoder_;
};

// rows [N, D], as the encoder gives them, each scaled to norm 1 as published.
void NormaliseTexts(absl::Span<float> rows, int64_t text_dim);

// The mean of unit rows [N, D], scaled to norm 1: [D].
std::vector<float> MeanDirection(absl::Span<const float> rows, int64_t text_dim);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_TEXT_EMBEDDER_H_
