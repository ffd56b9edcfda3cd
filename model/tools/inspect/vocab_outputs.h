// What `semsam-inspect vocab` makes of the queries of a run: masks, semantic and
// panoptic maps, instances, as arrays and as JSON.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_VOCAB_OUTPUTS_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_VOCAB_OUTPUTS_H_

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "model/image/vocabulary_inference.h"
#include "model/tools/inspect/array_writer.h"
#include "model/tools/inspect/words_json.h"

namespace semsam {

struct InferenceSettings {
  ImageSize output;          // px
  int top_instances = 100;   // (query, class) pairs
  int instance_queries = 0;  // the first so many; 0: all
  float temperature = 0.06f;
};

// Writes mask_area, inst_masks3, sem_seg, sem_seg_notransform, sem_argmax and a
// pano_NAME a preset; returns the lists: "panoptic" by preset, "instances" by mode.
// INVALID_ARGUMENT where a class map of every class would be larger than 4 GiB.
absl::StatusOr<nlohmann::ordered_json> WriteInference(const VocabularyQueries& queries,
                                                      const WordsFile& words,
                                                      const InferenceSettings& settings,
                                                      ArrayWriter& writer);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_VOCAB_OUTPUTS_H_
