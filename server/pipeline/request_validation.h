// From what a user asks to what the model is given; every refusal names the
// field of semsam.v1.
#ifndef SEMSAM_SERVER_PIPELINE_REQUEST_VALIDATION_H_
#define SEMSAM_SERVER_PIPELINE_REQUEST_VALIDATION_H_

#include <optional>
#include <string_view>
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

// Thresholds in range; levels known and not repeated; nothing to clean in logits.
absl::Status ValidateOptions(const SegmentOptions& options, const ModelConfig& config);

// For masks that answer no prompt: their logits are not kept.
absl::Status CheckRegionEncoding(MaskEncoding encoding);

// Validated prompts in the relative frame. INVALID_ARGUMENT for a point outside
// the image; its edges, 0 and the width or height, are inside.
absl::StatusOr<std::vector<Prompt>> ToModelPrompts(absl::Span<const UserPrompt> prompts,
                                                   ImageSize original, const ModelConfig& config);

// Known levels, none repeated; `levels[i]` is the path of a bad one.
absl::Status ValidateLevels(absl::Span<const int64_t> levels, const ModelConfig& config);

// OK if the number is absent or in [0, 1].
absl::Status CheckUnitInterval(const std::optional<float>& value, std::string_view field);

// The levels to answer, ascending; all if none is given.
std::vector<int> LevelsToAnswer(absl::Span<const int64_t> levels, const ModelConfig& config);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_REQUEST_VALIDATION_H_
