// What the calls about whole pictures take and give: new words for old masks,
// regions for words, and everything-mode. Plain structs, as in client/types.h.
#ifndef SEMSAM_CLIENT_SCENE_TYPES_H_
#define SEMSAM_CLIENT_SCENE_TYPES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/types.h"

namespace semsam::client {

struct RefreshLabelsRequest {
  std::string session_id;
  std::vector<uint64_t> mask_ids;  // Mask::mask_id of earlier answers in this session
  LabelOptions labels;             // at least one list
};

struct MaskLabels {
  uint64_t mask_id = 0;
  std::vector<Label> object_labels;  // best first
  std::vector<Label> part_labels;
};

struct RefreshLabelsResult {
  std::vector<MaskLabels> masks;  // in the order of the request
  StageTimings timings;
};

// With none of `instances`, `semantic` and `panoptic` set: instances. Unset
// numbers take the model's published defaults.
struct VocabularyOptions {
  bool instances = false;
  bool semantic = false;  // one region a word: the pixels where it scores highest
  bool panoptic = false;  // a map that gives every pixel one segment at most

  int max_instances = 0;                   // best pairs of region and word; 0: the default
  std::optional<float> min_score;          // 0 to 1; instances below are left out
  std::optional<float> max_duplicate_iou;  // 0 to 1; overlaps with a better one of the word
  std::optional<float> object_threshold;   // panoptic
  std::optional<float> overlap_threshold;  // panoptic
  std::optional<float> temperature;        // semantic and panoptic; of the softmax over words

  MaskEncoding encoding = MaskEncoding::kCocoRle;
  MaskResolution resolution = MaskResolution::kOriginal;
};

struct SegmentVocabularyRequest {
  std::string session_id;
  std::string image_id;
  WordList things;  // countable: each instance is a region of its own
  WordList stuff;   // the rest ("sky"): one region a word in the panoptic map
  WordList parts;   // scored by the part head
  VocabularyOptions options;
  std::shared_ptr<const std::string> recovery_image;  // as in SegmentRequest
};

struct VocabularySegment {
  enum class Kind { kInstance, kSemantic, kPart };
  Kind kind = Kind::kInstance;
  int word_index = 0;  // into `things` where is_thing, into `parts` for kPart, else `stuff`
  std::string name;
  bool is_thing = false;
  float score = 0;  // instances: class score times mask score, 0 to 1; else 0
  Mask mask;        // without level, scores and prompt
};

struct PanopticSegment {
  int id = 0;          // of its pixels, from 1
  int word_index = 0;  // into `things` where is_thing, else into `stuff`
  std::string name;
  bool is_thing = false;
  float score = 0;
  int64_t area_px = 0;
  PixelBox box;
};

// The convention of panopticapi: the segment of a pixel is red + 256 green +
// 65536 blue of the picture; 0 is nothing.
struct PanopticMap {
  std::string png;
  ImageSize size;
  std::vector<PanopticSegment> segments;
};

struct SegmentVocabularyResult {
  std::vector<VocabularySegment> segments;  // by falling score; empty where a callback took them
  int segments_sent = 0;
  std::optional<PanopticMap> panoptic;  // where asked for
  StageTimings timings;
  ImageSize image_size;            // original
  std::string recovered_image_id;  // as in SegmentSummary
};

// Unset numbers take the published defaults, given in brackets.
struct GenerateMasksOptions {
  int points_per_side = 0;                 // of the grid; 0: the default (32)
  std::vector<int> levels;                 // 1 is the largest region; empty asks for all
  std::optional<float> min_predicted_iou;  // (0.88)
  std::optional<float> min_stability;      // (0.92)
  std::optional<float> stability_offset;   // logits that stability compares areas at (1.0)
  std::optional<float> nms_iou;            // of boxes that overlap by more the best stays (0.7)
  std::optional<int> min_region_area_px;   // of the network's resolution (10)
  int points_per_chunk = 0;                // 0: the default (200 joint, 64 isolated)
  bool joint_attention = false;            // the points of a chunk influence each other
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  MaskResolution resolution = MaskResolution::kOriginal;
  std::optional<float> min_containment;  // share that makes a parent, above 0.5 to 1 (0.9)
};

struct GenerateMasksRequest {
  std::string session_id;
  std::string image_id;
  GenerateMasksOptions options;
  LabelOptions labels;
  std::shared_ptr<const std::string> recovery_image;  // as in SegmentRequest
};

struct GenerateMasksResult {
  // By falling predicted IoU; prompt_index is the point's index in the grid, row
  // by row. Empty where a callback took them.
  std::vector<Mask> masks;
  int masks_sent = 0;
  int masks_filtered = 0;
  // One entry a mask, in the order sent: the index of the smallest larger mask
  // that contains it, or -1. Following it upwards always ends.
  std::vector<int> parents;
  StageTimings timings;
  ImageSize image_size;            // original
  std::string recovered_image_id;  // as in SegmentSummary
};

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_SCENE_TYPES_H_
