// Text-only segmentation on one image: words choose queries, the decoder runs them,
// the heads read them (parity/vocab notes, sections 3 and 4).
#ifndef SEMSAM_MODEL_NET_VOCABULARY_RUN_H_
#define SEMSAM_MODEL_NET_VOCABULARY_RUN_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/net/semantic_sam.h"
#include "model/segmenter.h"

namespace semsam {

struct VocabularyImage {
  const ImageFeatures& features;
  at::Tensor projected_values;  // Decoder::ProjectValues, or undefined
  ImageSize padded;             // px
};

// Text embeddings [M, D] of unit norm; one may be undefined. The queries are chosen
// by the object head and the objects, unless there are parts alone.
struct VocabularyWords {
  at::Tensor objects;
  at::Tensor parts;

  LabelHead selects() const { return objects.defined() ? LabelHead::kObject : LabelHead::kPart; }
  const at::Tensor& chosen_by() const { return objects.defined() ? objects : parts; }
};

// Every stage of a run.
struct VocabularyTensors {
  TokenProposals proposals;
  SelectedQueries selected;
  DecoderOutput output;      // Q = chosen + learned queries
  at::Tensor boxes;          // [Q, 4] cx, cy, w, h relative to the padded image
  at::Tensor object_logits;  // [Q, objects], undefined without objects
  at::Tensor part_logits;    // [Q, parts], undefined without parts
  at::Tensor mask_logits;    // [Q, grid.area()]
};

// `queries`: how many to choose at most; ModelConfig::vocabulary says how many the
// model was made for. `every_layer` as in Decoder::Forward.
VocabularyTensors RunVocabulary(const SemanticSam& network, const VocabularyImage& image,
                                const VocabularyWords& words, int64_t queries,
                                bool every_layer = false);

// FAILED_PRECONDITION for a model without a vocabulary, or without the part head that
// `part_text` asks for; INVALID_ARGUMENT (`object_text`, `part_text`) for rows of
// another width or no words at all.
absl::Status CheckVocabularyRequest(const ModelConfig& config, const VocabularyRequest& request);

// RunVocabulary of a checked request.
VocabularyResult SegmentWithWords(const SemanticSam& network, const VocabularyImage& image,
                                  const VocabularyRequest& request);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_VOCABULARY_RUN_H_
