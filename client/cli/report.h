// What the program says about masks: a COCO-style document and a table.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_REPORT_H_
#define SEMSAM_CLIENT_CLI_REPORT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/types.h"
#include "nlohmann/json.hpp"

namespace semsam::client {

// A mask and when it arrived, counted from the request.
struct TimedMask {
  Mask mask;
  absl::Duration arrival;
};

// One finished run, in the coordinates of the user's prompts.
struct SegmentReport {
  std::string image_path;  // empty: only the server has the image
  std::string session_id;
  Image image;
  std::vector<Prompt> prompts;
  std::vector<TimedMask> masks;  // prompt by prompt, coarse to fine
  SegmentSummary summary;
  ModelInfo model;
};

// Prompt-major, then by level.
void SortMasks(std::vector<TimedMask>& masks);

// "click 10,20" or "box 1,2,3,4".
std::string DescribePrompt(const Prompt& prompt);

// `prompt` in pixels of the original image.
Prompt ToPixels(const Prompt& prompt, ImageSize image_size);

// `{"image": {...}, "images": [...], "annotations": [...]}`: every segmentation
// decodes with pycocotools.mask, the file as a whole loads with
// pycocotools.coco, and `image` is what SA-1B files carry.
nlohmann::ordered_json ToCocoJson(const SegmentReport& report);

std::string ToTable(const SegmentReport& report);

nlohmann::ordered_json ToJson(const StageTimings& timings);  // milliseconds
nlohmann::ordered_json ToJson(const ServerInfo& info);

// As text; bytes that are not UTF-8 (a file name) are replaced.
std::string Dump(const nlohmann::ordered_json& json);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_REPORT_H_
