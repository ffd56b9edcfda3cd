// From what a user asks to what the model is given; every refusal names the
// field of semsam.v1.
#ifndef SEMSAM_SERVER_PIPELINE_REQUEST_VALIDATION_H_
#define SEMSAM_SERVER_PIPELINE_REQUEST_VALIDATION_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/base/types.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

struct PromptLimits {
  int max_prompts = 64;
  int max_tag_bytes = 64;
};

// Everything that can be said before the image's size is known: counts, tags,
// shapes, numbers finite, boxes ordered, capabilities.
absl::Status ValidatePrompts(absl::Span<const UserPrompt> prompts, const ModelConfig& config,
                             const PromptLimits& limits);

// Thresholds in range; levels known and not repeated.
absl::Status ValidateOptions(const SegmentOptions& options, const ModelConfig& config);

// Validated prompts in the relative frame. INVALID_ARGUMENT for a point outside
// the image; its edges, 0 and the width or height, are inside.
absl::StatusOr<std::vector<Prompt>> ToModelPrompts(absl::Span<const UserPrompt> prompts,
                                                   ImageSize original, const ModelConfig& config);

// The levels to answer, ascending.
std::vector<int> LevelsToAnswer(const SegmentOptions& options, const ModelConfig& config);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_REQUEST_VALIDATION_H_
