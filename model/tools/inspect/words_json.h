// The words that `semsam-inspect vocab` looks for, and what it makes of them.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_WORDS_JSON_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_WORDS_JSON_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/types.h"

namespace semsam {

// Thresholds of one panoptic map.
struct PanopticPreset {
  std::string name;  // letters, digits and '_': part of a file name
  float object_threshold = 0.25f;
  float overlap_threshold = 0.8f;
  // Of the softmax over the scores; absent: the plain scores.
  std::optional<float> temperature = 0.06f;
};

struct WordsFile {
  std::vector<std::string> classes;  // at least one
  std::vector<bool> is_thing;        // [classes]
  std::vector<std::string> parts;
  TextMode mode = TextMode::kEnsemble;
  std::vector<PanopticPreset> presets;
  std::optional<ImageSize> output;    // px; absent: the size of the image
  std::optional<int> queries;         // chosen ones; absent: as the model says
  std::optional<int> top_instances;   // absent: as the model says
  std::vector<int64_t> mask_queries;  // rows of pred_masks_sub; empty: a few
};

// {"classes": [NAME, ...], "things": [CLASS INDEX, ...]} and, if wanted,
//   "parts": [NAME, ...], "mode": "ensemble" | "plain",
//   "presets": {NAME: [OBJECT THRESHOLD, OVERLAP THRESHOLD, TEMPERATURE or null]},
//   "output": [HEIGHT, WIDTH], "queries": N, "top_instances": N, "mask_queries": [N].
// A list of names alone will do. "names" (or "words") and "thing_contiguous_ids", as
// datasets call them, stand for the first two;
// "stuff_contiguous_ids" is what is left and says nothing. Without presets there are
// the five of the numeric reference, P0 to P4.
// INVALID_ARGUMENT that names the member which does not fit.
absl::StatusOr<WordsFile> ParseWords(const std::string& json);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_WORDS_JSON_H_
