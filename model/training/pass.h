// One pass of a training step: pictures through the network, predictions of every
// layer to losses. The one place that turns what the network says into what the
// criterion reads.
#ifndef SEMSAM_MODEL_TRAINING_PASS_H_
#define SEMSAM_MODEL_TRAINING_PASS_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/net/semantic_sam.h"
#include "model/torch/torch.h"
#include "model/training/criterion.h"
#include "model/training/recipe.h"
#include "model/training/training_data.h"
#include "model/training/word_embeddings.h"

namespace semsam {

struct PassOptions {
  int queries = 0;  // generic ones a picture
  Precision precision = Precision::kFloat32;
};

struct PassLosses {
  // What is minimised, times the number of pairs; without a graph where nothing was
  // learnt. The pairs of all passes and processes are not known yet: whoever has them
  // divides the gradients.
  at::Tensor sum;
  int64_t pairs = 0;
  // Sums over the pairs of the last layer of prompts, unweighted.
  std::array<double, LossTerms::kCount> terms{};
  int64_t prompt_pairs = 0;
};

// `samples` were read without error and are of one size. `lang_mapper` [D, C]: what
// denoising queries start from; undefined: they start from zero. `words` may be null
// for a network without class heads. `network` is on the training path, on the device
// where the losses are computed.
absl::StatusOr<PassLosses> RunPass(const SemanticSam& network,
                                   absl::Span<const TrainingSample> samples,
                                   const Criterion& criterion, WordEmbeddings* words,
                                   const at::Tensor& lang_mapper, const PassOptions& options);

// The text embeddings of a picture's words on the device of the losses; undefined
// where there are none or the network has no such head.
struct WordRows {
  at::Tensor objects;  // [C, D]
  at::Tensor parts;    // [C', D]
};

// What `network` said of queries -> what the losses read, in full precision.
LayerPredictions ForLosses(const SemanticSam& network, const Predictions& said,
                           const WordRows& words);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_PASS_H_
