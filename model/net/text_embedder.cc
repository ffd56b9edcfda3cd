#include "model/net/text_embedder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/text/prompt_templates.h"

namespace semsam {
namespace {

// Published guard against texts of norm zero; the ensemble has none.
constexpr double kNormEpsilon = 1e-7;
// Texts that are tokenised before the encoder runs.
constexpr size_t kMaxTexts = 4096;

// What the tokenizer says of its own field.
std::string Reason(const absl::Status& status) {
  return std::string(absl::StripPrefix(status.message(), "text: "));
}

double Norm(absl::Span<const float> row) {
  double squares = 0;
  for (const float value : row) squares += double{value} * value;
  return std::sqrt(squares);
}

}  // namespace

void NormaliseTexts(absl::Span<float> rows, int64_t text_dim) {
  for (size_t begin = 0; begin < rows.size(); begin += text_dim) {
    const absl::Span<float> row = rows.subspan(begin, text_dim);
    const double scale = 1 / (Norm(row) + kNormEpsilon);
    for (float& value : row) value = static_cast<float>(value * scale);
  }
}

std::vector<float> MeanDirection(absl::Span<const float> rows, int64_t text_dim) {
  std::vector<double> sums(text_dim, 0);
  for (size_t i = 0; i < rows.size(); ++i) sums[i % text_dim] += rows[i];
  double squares = 0;
  for (const double sum : sums) squares += sum * sum;
  std::vector<float> mean(text_dim, 0);
  for (int64_t d = 0; d < text_dim && squares > 0; ++d) {
    mean[d] = static_cast<float>(sums[d] / std::sqrt(squares));
  }
  return mean;
}

absl::StatusOr<std::unique_ptr<TextEmbedder>> TextEmbedder::Create(const TextConfig& config,
                                                                   const TensorMap& weights,
                                                                   ops::Path path) {
  if (config.vocabulary_size != Tokenizer::kVocabularySize) {
    return InvalidField("text.vocabulary_size",
                        absl::StrCat("must be CLIP's: ", Tokenizer::kVocabularySize));
  }
  SEMSAM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Create());
  return std::unique_ptr<TextEmbedder>(
      new TextEmbedder(std::move(tokenizer), TextEncoder(config, weights, path)));
}

absl::StatusOr<size_t> TextEmbedder::AddTexts(const std::string& term, TextMode mode,
                                              std::vector<std::vector<int32_t>>& texts) const {
  const std::vector<std::string> phrases =
      mode == TextMode::kEnsemble ? EnsemblePhrases(term) : std::vector<std::string>{term};
  for (const std::string& phrase : phrases) {
    SEMSAM_ASSIGN_OR_RETURN(texts.emplace_back(), tokenizer_.Encode(phrase, encoder_.context()));
  }
  return phrases.size();
}

absl::StatusOr<std::vector<float>> TextEmbedder::Embed(absl::Span<const std::string> terms,
                                                       TextMode mode) const {
  std::vector<float> embeddings;
  embeddings.reserve(terms.size() * encoder_.text_dim());
  std::vector<std::vector<int32_t>> texts;
  size_t texts_a_term = 1;
  for (size_t i = 0; i < terms.size(); ++i) {
    const absl::StatusOr<size_t> added = AddTexts(terms[i], mode, texts);
    if (!added.ok()) {
      return absl::IsInvalidArgument(added.status())
                 ? InvalidField(absl::StrCat("terms[", i, "]"), Reason(added.status()))
                 : added.status();
    }
    texts_a_term = *added;
    if (i + 1 < terms.size() && texts.size() + texts_a_term <= kMaxTexts) continue;
    const at::Tensor rows = encoder_.Forward(texts).to(at::kCPU).contiguous();
    const absl::Span<float> values(rows.mutable_data_ptr<float>(), rows.numel());
    NormaliseTexts(values, encoder_.text_dim());
    if (mode == TextMode::kPlain) {
      embeddings.insert(embeddings.end(), values.begin(), values.end());
    } else {
      const size_t term_size = texts_a_term * encoder_.text_dim();
      for (size_t begin = 0; begin < values.size(); begin += term_size) {
        const auto mean = MeanDirection(values.subspan(begin, term_size), encoder_.text_dim());
        embeddings.insert(embeddings.end(), mean.begin(), mean.end());
      }
    }
    texts.clear();
  }
  return embeddings;
}

}  // namespace semsam
