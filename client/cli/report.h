// What the program says about masks and regions: a COCO-style document and a
// table.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_REPORT_H_
#define SEMSAM_CLIENT_CLI_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cli/legend.h"
#include "client/scene_types.h"
#include "client/types.h"
#include "nlohmann/json.hpp"

namespace semsam::client {

// The three ways to say which regions are wanted.
enum class Task {
  kPrompts,     // clicks and boxes
  kWords,       // every region that words name
  kEverything,  // a grid of clicks
};

// Of GenerateMasks, where the request names no other.
inline constexpr int kDefaultPointsPerSide = 32;

// A mask or a region of a word, and when it arrived, counted from the request.
struct TimedMask {
  Mask mask;
  absl::Duration arrival;
};
struct TimedSegment {
  VocabularySegment segment;
  absl::Duration arrival;
};

// One finished run, in the coordinates of the user's prompts.
struct SegmentReport {
  Task task = Task::kPrompts;
  std::string image_path;  // empty: only the server has the image
  std::string session_id;
  Image image;
  std::vector<Prompt> prompts;
  // kPrompts: prompt by prompt, coarse to fine. kEverything: as they came.
  std::vector<TimedMask> masks;
  std::vector<int> parents;  // kEverything: index into masks, or -1
  int points_per_side = 0;   // kEverything
  // kWords; as they came.
  std::vector<TimedSegment> segments;
  std::optional<PanopticMap> panoptic;
  std::string panoptic_file;  // its name, in the folder of the document
  Legend legend;              // of all words; regions counted
  SegmentSummary summary;     // of any task
  ModelInfo model;
};

// Lists of the legend.
inline constexpr char kObjectsList[] = "objects";
inline constexpr char kPartsList[] = "parts";
inline constexpr char kThingsList[] = "things";
inline constexpr char kStuffList[] = "stuff";

// The list that a segment's word is in.
const char* ListOf(const VocabularySegment& segment);

const char* KindName(VocabularySegment::Kind kind);

// Counts the report's regions in its legend: a mask under its best object label
// and its best part label, a segment under its word.
void CountRegions(SegmentReport& report);

// Prompt-major, then by level.
void SortMasks(std::vector<TimedMask>& masks);

// "click 10,20" or "box 1,2,3,4".
std::string DescribePrompt(const Prompt& prompt);

// `prompt` in pixels of the original image.
Prompt ToPixels(const Prompt& prompt, ImageSize image_size);

// `{"image": {...}, "images": [...], "annotations": [...]}`: every segmentation
// decodes with pycocotools.mask, the file as a whole loads with
// pycocotools.coco, and `image` is what SA-1B files carry. Where words were
// asked for, `words` says what numbers and colours of the picture mean; regions
// of words have `categories`, and the map follows panopticapi. Everything has a
// `parent` each, an id or null.
nlohmann::ordered_json ToCocoJson(const SegmentReport& report);

// One line a mask or region.
std::string ToTable(const SegmentReport& report);

// The best label of a list as "cat 0.83"; empty if there is none.
std::string DescribeBest(const std::vector<Label>& labels);

nlohmann::ordered_json ToJson(const StageTimings& timings);  // milliseconds
nlohmann::ordered_json ToJson(const TenantQuota& quota);
nlohmann::ordered_json ToJson(const Session& session);  // times in RFC 3339, sizes [height, width]
nlohmann::ordered_json ToJson(const ServerInfo& info);
nlohmann::ordered_json ToJson(const RefreshLabelsResult& result);

// As text; bytes that are not UTF-8 (a file name) are replaced.
std::string Dump(const nlohmann::ordered_json& json);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_REPORT_H_
