// Plain structs that a caller of the client hands over and gets back; nothing
// here depends on protobuf, gRPC or OpenCV.
//
// Coordinates are in the frame a Prompt names. Image and mask sizes and boxes
// are pixels, origin top left.
#ifndef SEMSAM_CLIENT_TYPES_H_
#define SEMSAM_CLIENT_TYPES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"

namespace semsam::client {

struct ImageSize {
  int height = 0;  // px
  int width = 0;   // px

  int64_t area() const { return int64_t{height} * width; }
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// A point inside the region. The model knows no negative clicks.
struct Click {
  float x = 0;
  float y = 0;

  friend bool operator==(const Click&, const Click&) = default;
};

// Corners; x0 < x1, y0 < y1.
struct Box {
  float x0 = 0;
  float y0 = 0;
  float x1 = 0;
  float y1 = 0;

  friend bool operator==(const Box&, const Box&) = default;
};

enum class CoordinateFrame {
  kPixels,      // of the original image (EXIF orientation applied), pixel centres at +0.5
  kNormalized,  // fractions of the original width and height, 0 to 1
};

struct Prompt {
  std::variant<Click, Box> shape;
  CoordinateFrame frame = CoordinateFrame::kPixels;
  std::string tag;  // echoed in every mask of this prompt; at most 64 bytes
};

enum class MaskEncoding {
  kCocoRle,
  kPng,
  kPackedBits,
  kPolygons,
  kLogits,  // of masks that answer a prompt only; see DecodeLogits
};

enum class MaskResolution {
  kOriginal,  // the size of the uploaded image
  kNetwork,   // the size that the model saw
};

// What to answer for every prompt of a request.
struct PromptOptions {
  std::vector<int> levels;                 // 1 is the largest region; empty asks for all
  std::optional<float> min_predicted_iou;  // masks below are left out
  std::optional<float> min_stability;      // 0 to 1; masks below are left out
  std::optional<float> max_duplicate_iou;  // 0 to 1; near-copies of a better mask are left out
  int min_region_area_px = 0;              // smaller holes are filled, smaller islands dropped
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  MaskResolution resolution = MaskResolution::kOriginal;
  bool joint_attention = false;  // let the prompts of one request influence each other
};

// Top left pixel, and how many pixels wide and high.
struct PixelBox {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;

  friend bool operator==(const PixelBox&, const PixelBox&) = default;
};

// Vertices x0, y0, x1, y1, ... on pixel centres, closed implicitly.
struct Polygon {
  std::vector<float> xy;
  bool hole = false;  // bounds a hole in an earlier polygon
};

// How a word becomes what the model compares regions with.
enum class TextMode {
  kModel,     // as the model was trained, if its file says so; else kEnsemble
  kEnsemble,  // the mean over many phrases with the word ("a photo of a dog.")
  kPlain,     // the word as it is: a phrase of your own
};

// Words or short phrases, UTF-8. A word that repeats an earlier one (case and
// white space aside) is answered under the first.
struct WordList {
  std::vector<std::string> words;
  TextMode mode = TextMode::kModel;
  // Instead of `words`: the model's own list (ModelInfo::object_words, part_words),
  // read as in its training. FAILED_PRECONDITION where the model lists none.
  bool model_vocabulary = false;

  bool empty() const { return words.empty() && !model_vocabulary; }
};

// Names wanted for masks; each list is scored by a head of its own. With both
// lists empty none are asked for.
struct LabelOptions {
  WordList objects;                // needs Capabilities::object_labels
  WordList parts;                  // needs Capabilities::part_labels
  int max_labels = 0;              // best labels a mask and list; 0 takes the server's default
  std::optional<float> min_score;  // 0 to 1; labels below are left out

  bool empty() const { return objects.empty() && parts.empty(); }
};

struct Label {
  std::string name;
  float score = 0;     // sigmoid of logit, 0 to 1; labels of one mask do not add up to 1
  float logit = 0;     // as the model's head gives it
  int word_index = 0;  // into the request's list, or the model's own
};

// How far a long call is.
struct Progress {
  enum class Stage {
    kUnknown,
    kWords,   // turned into embeddings; known ones count as done
    kPoints,  // of the grid, decoded
  };
  Stage stage = Stage::kUnknown;
  int done = 0;
  int total = 0;
};

struct Mask {
  int prompt_index = 0;  // into the request's prompts
  std::string prompt_tag;
  int level = 0;            // granularity level, 1 is the largest region
  float predicted_iou = 0;  // the model's own estimate; raw, may leave [0, 1]
  float stability = 0;      // 0 to 1
  int64_t area_px = 0;
  PixelBox box;    // tight bounds; all zero for an empty mask
  ImageSize size;  // of the encoded mask; of kLogits the cells
  MaskEncoding encoding = MaskEncoding::kCocoRle;
  // kCocoRle: the compressed counts (ASCII). kPng: a PNG file. kPackedBits: one
  // bit a pixel, row-major, most significant bit first, rows start on a byte.
  // kLogits: half precision, little endian, row-major; see DecodeLogits.
  std::string data;
  float cell_width = 0;  // kLogits only, px of the asked resolution
  float cell_height = 0;
  std::vector<Polygon> polygons;     // kPolygons only
  std::vector<Label> object_labels;  // best first
  std::vector<Label> part_labels;
  // Names the mask in RefreshLabels, within its session; 0: the server does not
  // keep what that needs.
  uint64_t mask_id = 0;
};

// Where the time of one call went; stages that did not run are unset.
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

struct Image {
  std::string image_id;
  ImageSize size;      // original, EXIF orientation applied
  std::string sha256;  // hex, of the uploaded bytes
};

struct Session {
  std::string session_id;  // whoever holds it can use the session
  absl::Time create_time;
  absl::Time expire_time;  // unless it is used before
  absl::Duration ttl;
  std::vector<Image> images;
};

struct ListSessionsRequest {
  uint32_t page_size = 0;  // at most; 0 takes the server's choice
  std::string page_token;  // SessionPage::next_page_token; empty: from the first
};

struct SessionPage {
  std::vector<Session> sessions;  // oldest first, without their images
  std::string next_page_token;    // empty: there are no more
};

struct UploadResult {
  Image image;
  bool cached = false;    // the server already held this image's embedding
  bool attached = false;  // the server held the image: its bytes were not sent
  StageTimings timings;
};

struct SegmentRequest {
  std::string session_id;
  std::string image_id;  // of an earlier upload in this session
  std::vector<Prompt> prompts;
  PromptOptions options;
  LabelOptions labels;
  // The uploaded bytes behind image_id, to recover by: if the server no longer
  // holds the image, the client uploads it again and repeats the call, once.
  // Null: such a NOT_FOUND is the caller's.
  std::shared_ptr<const std::string> recovery_image;
};

struct SegmentSummary {
  int masks_sent = 0;
  int masks_filtered = 0;  // left out by thresholds or as duplicates
  StageTimings timings;
  ImageSize image_size;  // original
  // Set when the client had to upload the image again: its new id.
  std::string recovered_image_id;
};

struct SegmentOnceRequest {
  // Encoded image (JPEG, PNG, WebP, BMP, TIFF), or an image of a session.
  struct Reference {
    std::string session_id;
    std::string image_id;
  };
  std::variant<std::string, Reference> image;
  std::vector<Prompt> prompts;
  PromptOptions options;
  LabelOptions labels;
};

struct SegmentOnceResult {
  std::vector<Mask> masks;
  SegmentSummary summary;
};

struct GranularityLevel {
  int level = 0;  // 1 is the largest region
  std::string name;
};

struct Capabilities {
  bool click_prompts = false;
  bool box_prompts = false;
  bool object_labels = false;
  bool part_labels = false;
  bool vocabulary = false;
};

struct ModelInfo {
  std::string name;
  std::string digest;  // SHA-256 (hex) over the weights
  std::vector<GranularityLevel> levels;
  Capabilities capabilities;
  std::string device;
  bool trained = false;  // false: the masks mean nothing
  int short_edge_px = 0;
  // The words that WordList::model_vocabulary stands for; empty: there are none.
  std::vector<std::string> object_words;
  std::vector<std::string> part_words;
};

struct Limits {
  uint64_t max_image_bytes = 0;
  uint64_t max_image_pixels = 0;
  uint32_t max_chunk_bytes = 0;
  uint32_t max_prompts_per_request = 0;
  uint32_t max_images_per_session = 0;
  uint32_t max_sessions = 0;
  absl::Duration max_session_ttl;
  absl::Duration max_session_age;
  uint32_t max_queued_requests = 0;
  absl::Duration default_deadline;
  uint32_t max_words = 0;            // of one list
  uint32_t max_word_characters = 0;  // Unicode characters
  uint32_t max_points_per_side = 0;  // of GenerateMasks
  uint32_t max_labelled_masks = 0;   // that a session keeps for RefreshLabels
  uint32_t max_open_clicks = 0;      // of one Interact stream
  absl::Duration max_interact_age;   // of such a stream
  absl::Duration request_id_ttl;     // how long a repeated request is known as one
  // Zero where the server tells none of these.
  uint64_t max_message_bytes = 0;  // of one message
  absl::Duration max_deadline;
  absl::Duration default_session_ttl;
  absl::Duration max_upload_pause;   // between two messages of one upload
  absl::Duration min_ping_interval;  // HTTP/2 keepalive
};

// What the caller's tenant may have beside Limits; unset where it is not bounded.
struct TenantQuota {
  std::string tenant;  // empty: the server tells no tenants apart
  std::optional<uint64_t> max_sessions;
  std::optional<uint64_t> max_retained_image_bytes;
  std::optional<uint64_t> max_requests;             // under way, that segment
  std::optional<uint64_t> max_queries;              // of those
  std::optional<uint64_t> max_background_requests;  // SegmentVocabulary and GenerateMasks
  std::optional<uint64_t> max_upload_bytes;         // images on their way
};

struct ServerInfo {
  std::string server_version;
  ModelInfo model;
  Limits limits;
  TenantQuota quota;
};

enum class HealthStatus { kUnknown, kServing, kNotServing };

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_TYPES_H_
