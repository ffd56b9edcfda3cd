// From what the generic queries found to the regions and the map of an answer.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_SERVER_PIPELINE_VOCABULARY_REGIONS_H_
#define SEMSAM_SERVER_PIPELINE_VOCABULARY_REGIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/base/types.h"
#include "model/image/run_lengths.h"
#include "model/segmenter.h"
#include "server/pipeline/segment_types.h"
#include "server/pipeline/words.h"

namespace semsam {

// Field names follow semsam.v1.VocabularyOptions.
struct VocabularyOptions {
  bool instances = false;
  bool semantic = false;
  bool panoptic = false;
  uint32_t max_instances = 0;  // 0 takes the model's default
  std::optional<float> min_score;
  std::optional<float> max_duplicate_iou;
  std::optional<float> object_threshold;
  std::optional<float> overlap_threshold;
  std::optional<float> temperature;  // 0: plain scores
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  MaskResolution resolution = MaskResolution::kOriginal;
};

// The words of a call; classes of the object head are the things, then the stuff.
struct VocabularyWords {
  WordTable things;
  WordTable stuff;
  WordTable parts;

  int objects() const { return things.size() + stuff.size(); }
};

enum class RegionKind { kInstance, kSemantic, kPart };

struct Region {
  RegionKind kind = RegionKind::kInstance;
  std::string name;
  int word_index = 0;  // into things if is_thing, parts if kPart, else stuff
  bool is_thing = false;
  float score = 0;
  RunLengths mask;
};

struct PanopticEntry {
  int id = 0;
  std::string name;
  int word_index = 0;
  bool is_thing = false;
  float score = 0;
  int64_t area = 0;  // px of the picture
  PixelBox box;      // px of the picture
};

struct PanopticPicture {
  std::string png;  // id = red + 256 green + 65536 blue
  ImageSize size;   // px
  std::vector<PanopticEntry> entries;

  int64_t size_bytes() const;
};

struct VocabularyAnswer {
  std::vector<Region> regions;  // instances and parts by falling score, then the rest
  std::optional<PanopticPicture> panoptic;

  int64_t size_bytes() const;
};

// Bytes that a call holds at most while it works on an answer of this geometry.
int64_t VocabularyBytes(const ModelConfig& config, const ImageGeometry& geometry,
                        const VocabularyOptions& options, int64_t words);

// INTERNAL if the result has not the shape that its words ask for.
absl::Status CheckVocabularyShape(const VocabularyResult& result, const VocabularyWords& words);

// `result` fits `words`. `cancelled` is asked every few milliseconds: CANCELLED.
absl::StatusOr<VocabularyAnswer> InferRegions(const VocabularyResult& result,
                                              const ImageGeometry& geometry,
                                              const VocabularyWords& words,
                                              const VocabularyOptions& options,
                                              const ModelConfig& config,
                                              const std::function<bool()>& cancelled);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_VOCABULARY_REGIONS_H_
