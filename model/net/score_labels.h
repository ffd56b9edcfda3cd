// Labels for masks that have been returned: their query embeddings against words.
#ifndef SEMSAM_MODEL_NET_SCORE_LABELS_H_
#define SEMSAM_MODEL_NET_SCORE_LABELS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/types.h"
#include "model/net/semantic_sam.h"

namespace semsam {

// Segmenter::ScoreLabels on `network`. Thread-safe, beside any other call.
absl::StatusOr<std::vector<float>> ScoreLabels(const SemanticSam& network, LabelHead head,
                                               absl::Span<const float> query_embeddings,
                                               absl::Span<const float> text_embeddings);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_SCORE_LABELS_H_
