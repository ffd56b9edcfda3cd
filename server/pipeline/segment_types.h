// What a segment call asks for and gets, free of protobuf. Field names follow
// semsam.v1, so that an error's field path means the same on both sides.
#ifndef SEMSAM_SERVER_PIPELINE_SEGMENT_TYPES_H_
#define SEMSAM_SERVER_PIPELINE_SEGMENT_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "model/base/types.h"
#include "model/image/mask_codec.h"
#include "model/image/mask_logits.h"
#include "model/image/mask_tail.h"
#include "model/image/run_lengths.h"

namespace semsam {

enum class CoordinateFrame { kPixels, kNormalized };

struct UserClick {
  float x = 0;
  float y = 0;
};

struct UserBox {
  float x0 = 0;
  float y0 = 0;
  float x1 = 0;
  float y1 = 0;
};

struct UserPrompt {
  std::variant<std::monostate, UserClick, UserBox> shape;
  CoordinateFrame frame = CoordinateFrame::kPixels;  // of the original image
  std::string tag;
};

// kLogits: for masks that answer a prompt.
enum class MaskEncoding { kCocoRle, kPng, kPackedBits, kPolygons, kLogits };

// Words as a client spells them, or the model's own.
struct UserWords {
  std::vector<std::string> words;
  // Absent: as the model was trained, if it lists words of its own; else kEnsemble.
  std::optional<TextMode> mode;
  bool model_vocabulary = false;  // then `words` is empty and `mode` is the model's

  bool empty() const { return words.empty() && !model_vocabulary; }
};

// Names wanted for masks; a list that is absent is not scored.
struct LabelOptions {
  std::optional<UserWords> objects;
  std::optional<UserWords> parts;
  uint32_t max_labels = 0;         // a mask and list; 0 takes the default
  std::optional<float> min_score;  // 0..1
};

struct SegmentOptions {
  std::vector<int64_t> levels;  // 1-based; empty asks for all
  std::optional<float> min_predicted_iou;
  std::optional<float> min_stability;      // 0..1
  std::optional<float> max_duplicate_iou;  // 0..1, between masks of one prompt
  uint32_t min_region_area_px = 0;         // 0 leaves masks as they are
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  MaskResolution resolution = MaskResolution::kOriginal;
  bool joint_attention = false;
};

struct MaskData {
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  std::string bytes;                  // of kCocoRle, kPng and kPackedBits
  std::vector<MaskPolygon> polygons;  // of kPolygons
  PackedLogits logits;                // of kLogits

  int64_t size_bytes() const {
    int64_t total = static_cast<int64_t>(bytes.size() + logits.halves.size());
    for (const MaskPolygon& polygon : polygons) {
      total += static_cast<int64_t>(polygon.xy.size() * sizeof(float));
    }
    return total;
  }
};

struct MaskLabel {
  std::string name;    // as the request spells it first
  float score = 0;     // sigmoid of the logit
  float logit = 0;     // of the model's head
  int word_index = 0;  // into the request's list
};

// Best first.
struct MaskLabels {
  std::vector<MaskLabel> objects;
  std::vector<MaskLabel> parts;

  int64_t size_bytes() const {
    constexpr int64_t kNumberBytes = 24;  // of one label as it travels, generously
    int64_t total = 0;
    for (const std::vector<MaskLabel>* labels : {&objects, &parts}) {
      for (const MaskLabel& label : *labels) {
        total += kNumberBytes + static_cast<int64_t>(label.name.size());
      }
    }
    return total;
  }
};

struct SegmentMask {
  int prompt_index = 0;
  std::string prompt_tag;
  int level = 0;
  float predicted_iou = 0;
  float stability = 0;
  int64_t area = 0;  // px
  PixelBox box;      // px of the mask
  ImageSize size;    // px; of kLogits the cells
  MaskData data;
  MaskLabels labels;
  uint64_t mask_id = 0;   // for RefreshLabels; 0: not kept
  bool followed = false;  // by another mask or the end of the call, at once

  int64_t size_bytes() const { return data.size_bytes() + labels.size_bytes(); }
};

// How far a long call is.
struct CallProgress {
  enum class Stage { kWords, kPoints };
  Stage stage = Stage::kWords;
  int done = 0;
  int total = 0;
};

// Stages that did not run for a call are unset.
struct StageTimings {
  std::optional<absl::Duration> image_decode;
  std::optional<absl::Duration> preprocess;
  std::optional<absl::Duration> encode_queue;
  std::optional<absl::Duration> encode;
  std::optional<absl::Duration> decode_queue;
  std::optional<absl::Duration> decode;
  std::optional<absl::Duration> postprocess;
  std::optional<absl::Duration> words;  // to embeddings, and their scores
};

struct SegmentSummary {
  int masks_sent = 0;
  int masks_filtered = 0;
  StageTimings timings;
  ImageSize image_size;  // px, original
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_SEGMENT_TYPES_H_
