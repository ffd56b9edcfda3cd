// From the generic queries of a vocabulary run to what a person asked for: things
// one by one, a class for every pixel, or both in one map (parity/vocab notes,
// section 6; OpenSeeD and MaskDINO inference). Torch-free.
//
// Guarantees
//   - The logits of a query are upsampled to the padded size (bilinear), cropped,
//     and resampled to the output size (bicubic, antialiased) before anything is
//     decided, as published.
//   - Work goes by tiles of the output: no buffer holds all queries at output size.
//     All of them together stay within kMaxStripBytes beside what is returned, one
//     row of scores of InferSemantic excepted.
//   - What cannot change a decision is not computed (bounds of the logits over a
//     tile, of the class scores over a cell of pixels); results do not depend on it.
// Errors of all: INTERNAL for queries whose sizes do not agree or that are not
// finite; INVALID_ARGUMENT that names the option; CANCELLED if `cancelled` (may be
// null; asked a tile or a query, a few milliseconds apart) says so.
//
// Thread-safe: free functions without state; a call runs on the caller's thread.
#ifndef SEMSAM_MODEL_IMAGE_VOCABULARY_INFERENCE_H_
#define SEMSAM_MODEL_IMAGE_VOCABULARY_INFERENCE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/types.h"
#include "model/image/run_lengths.h"

namespace semsam {

inline constexpr int64_t kMaxStripBytes = int64_t{64} << 20;

// What a vocabulary run gave; the owner outlives the view.
struct VocabularyQueries {
  ImageGeometry geometry;                // px
  ImageSize grid;                        // of the mask logits: geometry.padded / 4
  int queries = 0;                       // Q
  int classes = 0;                       // C
  absl::Span<const float> class_logits;  // [Q, C]
  absl::Span<const float> mask_logits;   // [Q, grid.height, grid.width]
  absl::Span<const CenterBox> boxes;     // [Q], relative to the padded image
};

struct InstanceOptions {
  ImageSize output;              // px, of the masks
  int top = 100;                 // (query, class) pairs kept before anything else
  int instance_queries = 0;      // only the first so many queries; 0: all
  std::vector<bool> keep_class;  // [C] classes to answer, applied after `top`; empty: all
  bool masks = true;             // false: boxes alone, score = class score
};

struct VocabularyInstance {
  int query = 0;
  int word = 0;           // class index
  float class_score = 0;  // sigmoid of the class logit
  float mask_score = 1;   // mean sigmoid over the mask
  float score = 0;        // class_score * mask_score
  RunLengths mask;        // at the output size
  int64_t area = 0;       // px
  // The head's own box, corners in pixels of the output; may leave the image.
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// Falling score; no suppression, no threshold. A mask is computed once a query, one
// query at a time.
absl::StatusOr<std::vector<VocabularyInstance>> InferInstances(
    const VocabularyQueries& queries, const InstanceOptions& options,
    const std::function<bool()>& cancelled = nullptr);

struct PanopticOptions {
  ImageSize output;                // px
  float object_threshold = 0.25f;  // a query's best class score must exceed it
  float overlap_threshold = 0.8f;  // share of its own area that it must win
  bool softmax = true;             // weigh by softmax over sigmoid scores / temperature
  float temperature = 0.06f;
  std::vector<bool> is_thing;  // [C]
};

struct PanopticSegment {
  int id = 0;  // in the map, from 1
  int query = 0;
  int word = 0;  // class index
  bool is_thing = false;
  float score = 0;   // sigmoid of the class logit
  int64_t area = 0;  // px of the map
  PixelBox box;      // px of the map
};

struct PanopticMap {
  ImageSize size;
  std::vector<int32_t> ids;  // [H, W], 0 = nothing
  std::vector<PanopticSegment> segments;
};

absl::StatusOr<PanopticMap> InferPanoptic(const VocabularyQueries& queries,
                                          const PanopticOptions& options,
                                          const std::function<bool()>& cancelled = nullptr);

struct SemanticOptions {
  ImageSize output;     // px
  bool softmax = true;  // as above
  float temperature = 0.06f;
};

// Called with rows [first_row, first_row + rows) of every class:
// scores [C, rows, width], valid during the call. A row is there as a whole, however
// many classes and columns it has.
using SemanticStrip = std::function<void(int first_row, int rows, absl::Span<const float> scores)>;

// Class scores of every pixel, strip by strip from the top.
absl::Status InferSemantic(const VocabularyQueries& queries, const SemanticOptions& options,
                           const SemanticStrip& strip,
                           const std::function<bool()>& cancelled = nullptr);

// The class of every pixel, [H, W]: the largest score, the first of equals.
absl::StatusOr<std::vector<int32_t>> InferSemanticMap(
    const VocabularyQueries& queries, const SemanticOptions& options,
    const std::function<bool()>& cancelled = nullptr);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_VOCABULARY_INFERENCE_H_
