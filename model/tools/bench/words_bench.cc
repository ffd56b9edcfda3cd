#include "model/tools/bench/words_bench.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/net/torch_segmenter.h"

namespace semsam::bench {
namespace {

constexpr float kEmbeddingTolerance = 2e-6f;

Rgb8Image Noise(int size) {
  std::mt19937 engine(1);
  Rgb8Image image{.size = {size, size}};
  image.pixels.resize(static_cast<size_t>(image.size.area()) * 3);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(engine());
  return image;
}

// `masks` masks of clicks on `embedding`, `levels` of each.
DecodeRequest Clicks(const std::shared_ptr<const Embedding>& embedding, int masks, int levels) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(0.05f, 0.95f);
  DecodeRequest request{.embedding = embedding};
  for (int level = 1; level <= levels; ++level) request.levels.push_back(level);
  for (int i = 0; i < (masks + levels - 1) / levels; ++i) {
    const float x = uniform(engine);
    request.prompts.push_back({.cx = x, .cy = uniform(engine), .w = 0.005f, .h = 0.005f});
  }
  return request;
}

std::vector<std::string> SomeWords(int count) {
  std::vector<std::string> words;
  for (int i = 0; i < count; ++i) words.push_back(absl::StrCat("thing number ", i));
  return words;
}

// Decoding anew, against scoring what the session keeps.
absl::StatusOr<Comparison> CompareRelabelling(Segmenter& segmenter, const WordsOptions& options,
                                              const std::shared_ptr<const Embedding>& embedding,
                                              const std::vector<float>& text, int levels) {
  const DecodeRequest request = Clicks(embedding, options.masks, levels);
  SEMSAM_ASSIGN_OR_RETURN(const DecodeResult decoded, segmenter.Decode({&request, 1})[0]);
  const absl::Span<const float> queries =
      absl::MakeSpan(decoded.query_embeddings).first(options.masks * decoded.embedding_dim);
  absl::Status status;  // of the first run that failed
  const auto check = [&status](const absl::Status& run) { status.Update(run); };
  Comparison row = Compare(
      absl::StrCat("relabel ", options.masks, "x", options.words, " l", levels),
      {.blocks = options.blocks, .ours_runs = 25, .baseline_runs = 3},
      [&] {
        for (const LabelHead head : {LabelHead::kObject, LabelHead::kPart}) {
          check(segmenter.ScoreLabels(head, queries, text).status());
        }
      },
      [&] {
        check(segmenter.Decode({&request, 1})[0].status());
      });
  SEMSAM_RETURN_IF_ERROR(status);
  return row;
}

absl::StatusOr<Comparison> CompareEncoding(Segmenter& ours, const WordsOptions& options) {
  SEMSAM_ASSIGN_OR_RETURN(
      const std::unique_ptr<Segmenter> baseline,
      CreateTorchSegmenter({.weights = options.weights, .reference_path = true}));
  const std::vector<std::string> words = SomeWords(options.encoded_words);
  absl::StatusOr<std::vector<float>> tree, padded;
  Comparison row = Compare(
      absl::StrCat("text x", options.encoded_words),
      {.blocks = options.blocks, .ours_runs = 2, .baseline_runs = 1},
      [&] { tree = ours.EncodeText(words, TextMode::kEnsemble); },
      [&] { padded = baseline->EncodeText(words, TextMode::kEnsemble); });
  SEMSAM_RETURN_IF_ERROR(tree.status());
  SEMSAM_RETURN_IF_ERROR(padded.status());
  for (size_t i = 0; i < tree->size(); ++i) {
    if (!(std::abs((*tree)[i] - (*padded)[i]) <= kEmbeddingTolerance)) {
      return absl::InternalError("the two sides do not compute the same text embeddings");
    }
  }
  return row;
}

}  // namespace

absl::StatusOr<std::vector<Comparison>> CompareWords(const WordsOptions& options) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Segmenter> segmenter,
                          CreateTorchSegmenter({.weights = options.weights}));
  const Rgb8Image image = Noise(options.size);
  const Rgb8Image* images[] = {&image};
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const Embedding> embedding,
                          segmenter->Encode(images)[0]);
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<float> text,
                          segmenter->EncodeText(SomeWords(options.words), TextMode::kPlain));
  std::vector<Comparison> rows;
  for (const int levels : {1, segmenter->info().config.levels()}) {
    SEMSAM_ASSIGN_OR_RETURN(rows.emplace_back(),
                            CompareRelabelling(*segmenter, options, embedding, text, levels));
  }
  SEMSAM_ASSIGN_OR_RETURN(rows.emplace_back(), CompareEncoding(*segmenter, options));
  return rows;
}

}  // namespace semsam::bench
