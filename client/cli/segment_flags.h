// The flags of `semsam segment`: what they are, which go together, and what to
// ask the server for.
#ifndef SEMSAM_CLIENT_CLI_SEGMENT_FLAGS_H_
#define SEMSAM_CLIENT_CLI_SEGMENT_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/args.h"
#include "client/cli/connection.h"
#include "client/cli/report.h"
#include "client/scene_types.h"
#include "client/types.h"

namespace semsam::client {

struct SegmentFlags {
  ConnectionFlags connection;
  std::string image_path;
  std::string session_id;
  std::string image_id;
  std::string out_dir = ".";
  bool keep = false;
  bool json = false;
  bool help = false;

  // Set by CheckSegmentFlags.
  Task task = Task::kPrompts;

  std::vector<Prompt> prompts;
  bool normalized = false;
  bool everything = false;
  LabelOptions labels;  // its parts serve kWords, too
  WordList things;
  std::vector<std::string> stuff;
  TextMode text_mode = TextMode::kModel;

  // Shared by flags that mean the same in several tasks.
  std::vector<int> levels;
  std::optional<float> min_iou;
  std::optional<float> min_stability;
  std::optional<float> max_duplicate_iou;
  std::optional<int> min_region_area_px;
  std::optional<float> min_score;
  bool joint_attention = false;

  VocabularyOptions vocabulary;             // without what is above
  GenerateMasksOptions everything_options;  // without what is above

  PromptOptions ToPromptOptions() const;
  VocabularyOptions ToVocabularyOptions() const;
  GenerateMasksOptions ToGenerateMasksOptions() const;
};

// `flags` must outlive `parser`.
void AddSegmentFlags(ArgParser& parser, SegmentFlags& flags);

// After parsing: finds the task, gives words their mode and prompts their frame.
// INVALID_ARGUMENT names a flag that is missing, or does not go with the task.
absl::Status CheckSegmentFlags(const ArgParser& parser, SegmentFlags& flags);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_SEGMENT_FLAGS_H_
