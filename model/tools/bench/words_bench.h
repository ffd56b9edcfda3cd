// What words cost: labels for masks that are known already, and text embeddings.
#ifndef SEMSAM_MODEL_TOOLS_BENCH_WORDS_BENCH_H_
#define SEMSAM_MODEL_TOOLS_BENCH_WORDS_BENCH_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/tools/bench/measure.h"

namespace semsam::bench {

struct WordsOptions {
  std::string weights;  // with text and clicks
  int size = 640;       // side of the square image, px
  int masks = 64;
  int words = 200;        // known, to relabel the masks with
  int encoded_words = 4;  // to encode as ensembles
  int blocks = 5;
};

// Rows "relabel MxW ..." (ours: ScoreLabels of both heads; baseline: Decode of the
// same masks) and "text xN" (ours: the tree of beginnings; baseline: LibTorch's own
// operators on the padded batch). FAILED_PRECONDITION without text; INTERNAL if the
// two sides' embeddings differ.
absl::StatusOr<std::vector<Comparison>> CompareWords(const WordsOptions& options);

}  // namespace semsam::bench

#endif  // SEMSAM_MODEL_TOOLS_BENCH_WORDS_BENCH_H_
