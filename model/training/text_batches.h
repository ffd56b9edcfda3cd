// The order in which a text encoder meets names, and in which words.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_BATCHES_H_
#define SEMSAM_MODEL_TRAINING_TEXT_BATCHES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/data/random.h"
#include "model/text/tokenizer.h"

namespace semsam {

struct TextBatchOptions {
  uint64_t seed = 1;
  int texts = 256;   // of one batch; all there are, if those are fewer
  int context = 18;  // tokens of a text, start and end included
  // Share of the names that come in a phrase of the ensemble (prompt_templates.h). A
  // phrase says nothing of the thing, so its target is that of the name alone.
  double phrase_share = 0.15;
  // Share of the names of several pieces in which one piece is made the unknown one.
  double unknown_share = 0.1;
};
absl::Status Validate(const TextBatchOptions& options);

struct TextBatch {
  std::vector<std::vector<int32_t>> sequences;  // as Tokenizer::Encode gives them
  std::vector<int64_t> names;                   // whose: indices
};

// Every name once an epoch, shuffled; names of about the same length together, because
// a batch is padded to its longest. Batch `step` depends on the options, the names and
// `step` alone.
//
// Pieces of CLIP's vocabulary that occur in no name would keep the row they began with
// and disturb the first word in which somebody uses them. One of them, the unknown
// piece, is therefore put in the place of known ones now and then; what it learns is
// what all of them get.
//
// Not thread-safe: keeps the batches that come next.
class TextBatches {
 public:
  // INVALID_ARGUMENT for options, no names, or names that are not UTF-8 or blank.
  static absl::StatusOr<TextBatches> Create(absl::Span<const std::string> names,
                                            const TextBatchOptions& options);

  const TextBatch& Get(int64_t step);

  // Pieces of the names, without start and end; all of them, whatever the context.
  const std::vector<std::vector<int32_t>>& pieces() const { return pieces_; }
  // Ids that are in no name and no phrase, in order.
  const std::vector<int32_t>& unmet() const { return unmet_; }
  // Batches of an epoch.
  int64_t size() const;

 private:
  // The pieces of a phrase before and after the name.
  using Phrase = std::pair<std::vector<int32_t>, std::vector<int32_t>>;

  TextBatches(const TextBatchOptions& options, std::vector<std::vector<int32_t>> pieces,
              std::vector<Phrase> phrases);

  std::vector<int32_t> Vary(int64_t name, Random& random) const;
  void FillPool(int64_t pool);

  TextBatchOptions options_;
  std::vector<std::vector<int32_t>> pieces_;
  std::vector<Phrase> phrases_;
  std::vector<int32_t> unmet_;
  std::vector<int64_t> order_;  // of epoch_
  int64_t epoch_ = -1;
  std::vector<TextBatch> batches_;  // of pool_
  int64_t pool_ = -1;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_BATCHES_H_
