// Names for masks: the best words of each list, each list by a head of its own.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_SERVER_PIPELINE_LABELS_H_
#define SEMSAM_SERVER_PIPELINE_LABELS_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/segmenter.h"
#include "server/pipeline/byte_budget.h"
#include "server/pipeline/segment_types.h"
#include "server/pipeline/words.h"

namespace semsam {

// What a call will label its masks with.
struct LabelPlan {
  std::optional<WordTable> objects;
  std::optional<WordTable> parts;
  int max_labels = 3;
  std::optional<float> min_score;
  std::unique_ptr<ByteBudget::Reservation> memory;  // of the tables' embeddings

  bool wanted() const { return objects.has_value() || parts.has_value(); }
  std::vector<WordTable*> tables();
};

// True if masks of the model can be labelled, i.e. their queries are worth keeping.
inline bool CanLabel(const ModelConfig& config) {
  return config.capabilities.object_labels || config.capabilities.part_labels;
}

// Valid options as a plan; a list without words is as if it was not there.
// FAILED_PRECONDITION (`labels.objects`) for what the model cannot; INVALID_ARGUMENT
// as ResolveWords and CleanWords, and for a bad min_score; RESOURCE_EXHAUSTED when all calls
// together hold as many words as they may.
absl::StatusOr<LabelPlan> PlanLabels(const LabelOptions& options, const ModelInfo& model,
                                     const WordLimits& limits, ByteBudget& budget,
                                     absl::Duration retry_after);

// Sets bytes aside for tables of `words` words together.
absl::StatusOr<std::unique_ptr<ByteBudget::Reservation>> ReserveWords(int64_t words,
                                                                      const ModelConfig& config,
                                                                      ByteBudget& budget,
                                                                      absl::Duration retry_after);

// Labels of `masks` masks with these query embeddings [masks, D]. The embeddings of
// the plan's tables are there. Errors: the model's.
absl::StatusOr<std::vector<MaskLabels>> LabelMasks(const Segmenter& segmenter,
                                                   const LabelPlan& plan,
                                                   absl::Span<const float> queries, size_t masks);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_LABELS_H_
