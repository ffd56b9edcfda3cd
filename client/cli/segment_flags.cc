#include "client/cli/segment_flags.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/word_flags.h"

namespace semsam::client {
namespace {

constexpr unsigned kWithPrompts = 1;
constexpr unsigned kWithWords = 2;
constexpr unsigned kWithEverything = 4;

// Which tasks a flag is for; flags that are not here go with all of them.
struct FlagUse {
  const char* name;
  unsigned tasks;
};

constexpr FlagUse kFlagUses[] = {
    {"normalized", kWithPrompts},
    {"objects", kWithPrompts | kWithEverything},
    {"max-labels", kWithPrompts | kWithEverything},
    {"levels", kWithPrompts | kWithEverything},
    {"min-iou", kWithPrompts | kWithEverything},
    {"min-stability", kWithPrompts | kWithEverything},
    {"min-region-area", kWithPrompts | kWithEverything},
    {"joint-attention", kWithPrompts | kWithEverything},
    {"max-duplicate-iou", kWithPrompts | kWithWords},
    {"instances", kWithWords},
    {"semantic", kWithWords},
    {"panoptic", kWithWords},
    {"max-instances", kWithWords},
    {"object-threshold", kWithWords},
    {"overlap-threshold", kWithWords},
    {"temperature", kWithWords},
    {"points-per-side", kWithEverything},
    {"points-per-chunk", kWithEverything},
    {"stability-offset", kWithEverything},
    {"nms-iou", kWithEverything},
    {"min-containment", kWithEverything},
};

unsigned TaskBit(Task task) {
  switch (task) {
    case Task::kPrompts:
      return kWithPrompts;
    case Task::kWords:
      return kWithWords;
    case Task::kEverything:
      break;
  }
  return kWithEverything;
}

std::string DescribeTasks(unsigned tasks) {
  std::string text;
  for (const auto& [bit, name] : {std::pair{kWithPrompts, "--click and --box"},
                                  std::pair{kWithWords, "--text, --stuff and --parts alone"},
                                  std::pair{kWithEverything, "--everything"}}) {
    if ((tasks & bit) != 0) absl::StrAppend(&text, text.empty() ? "" : ", or ", name);
  }
  return text;
}

absl::Status Contradiction(const char* flag, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", text));
}

void AddPromptFlags(ArgParser& parser, SegmentFlags& flags) {
  parser.AddGroup("What to segment: prompts");
  parser.AddRepeated("click", "X,Y", "a point inside the region",
                     [&flags](const std::string& text) {
                       const auto n = ParseNumbers(text, 2);
                       if (!n.ok()) return n.status();
                       flags.prompts.push_back({.shape = Click{(*n)[0], (*n)[1]}});
                       return absl::OkStatus();
                     });
  parser.AddRepeated("box", "X0,Y0,X1,Y1", "corners around the region",
                     [&flags](const std::string& text) {
                       const auto n = ParseNumbers(text, 4);
                       if (!n.ok()) return n.status();
                       flags.prompts.push_back({.shape = Box{(*n)[0], (*n)[1], (*n)[2], (*n)[3]}});
                       return absl::OkStatus();
                     });
  parser.AddSwitch("normalized", "coordinates are fractions of width and height, 0 to 1",
                   flags.normalized);
}

void AddWordFlags(ArgParser& parser, SegmentFlags& flags) {
  VocabularyOptions& options = flags.vocabulary;
  parser.AddGroup("... or what words name, anywhere in the image");
  parser.AddRepeated("text", "WORDS", "countable objects: a region for each instance",
                     AppendWords(flags.things));
  parser.AddRepeated("stuff", "WORDS", "sky, grass, ...: a region for each word",
                     AppendWords(flags.stuff));
  parser.AddSwitch("instances", "a region for each instance (the default of --text and --parts)",
                   options.instances);
  parser.AddSwitch("semantic", "a region for each word, no pixel twice (the default of --stuff)",
                   options.semantic);
  parser.AddSwitch("panoptic", "a map with one segment a pixel: writes NAME_panoptic.png",
                   options.panoptic);
  parser.AddValue("max-instances", "N", "the best so many (the model's default)",
                  SetPositiveInt(options.max_instances));
  parser.AddValue("object-threshold", "N", "of --panoptic: least score of a region",
                  SetFloat(options.object_threshold));
  parser.AddValue("overlap-threshold", "N", "of --panoptic: least visible share of a region",
                  SetFloat(options.overlap_threshold));
  parser.AddValue("temperature", "N", "of --semantic and --panoptic: 0 takes plain scores",
                  SetFloat(options.temperature));
}

void AddEverythingFlags(ArgParser& parser, SegmentFlags& flags) {
  GenerateMasksOptions& options = flags.everything_options;
  parser.AddGroup("... or everything");
  parser.AddSwitch("everything", "a grid of clicks, thresholds, duplicates removed",
                   flags.everything);
  parser.AddValue("points-per-side", "N", "of the grid (32)",
                  SetPositiveInt(options.points_per_side));
  parser.AddValue("nms-iou", "N", "of boxes that overlap by more, the best stays (0.7)",
                  SetFloat(options.nms_iou));
  parser.AddValue("stability-offset", "N", "logits that stability compares areas at (1)",
                  SetFloat(options.stability_offset));
  parser.AddValue("points-per-chunk", "N", "points decoded at a time",
                  SetPositiveInt(options.points_per_chunk));
  parser.AddValue("min-containment", "N", "share inside a larger mask that makes it a parent (0.9)",
                  SetFloat(options.min_containment));
}

void AddFilterFlags(ArgParser& parser, SegmentFlags& flags) {
  parser.AddGroup("Which masks to keep");
  parser.AddValue("levels", "1,2,3", "granularity levels, 1 is the largest region (all)",
                  SetIntList(flags.levels));
  parser.AddValue("min-iou", "N", "leave out masks of lower predicted IoU (--everything: 0.88)",
                  SetFloat(flags.min_iou));
  parser.AddValue("min-stability", "N",
                  "leave out masks of lower stability, 0 to 1 (--everything: 0.92)",
                  SetFloat(flags.min_stability));
  parser.AddValue("max-duplicate-iou", "N", "leave out near-copies of a better mask, 0 to 1",
                  SetFloat(flags.max_duplicate_iou));
  parser.AddValue("min-region-area", "PIXELS",
                  "fill smaller holes and drop smaller islands (--everything: 10)",
                  [&flags](const std::string& text) {
                    return SetNonNegativeInt(flags.min_region_area_px.emplace())(text);
                  });
  parser.AddValue("min-score", "N", "leave out names, or regions of words, of lower score, 0 to 1",
                  SetFloat(flags.min_score));
  parser.AddSwitch("joint-attention", "let the prompts influence each other",
                   flags.joint_attention);
}

absl::Status FindTask(SegmentFlags& flags) {
  const bool words = !flags.things.empty() || !flags.stuff.empty();
  const char* word_flag = !flags.things.empty() ? "text" : "stuff";
  if (flags.everything && !flags.prompts.empty()) {
    return Contradiction("everything", "takes no --click or --box: it makes a grid of its own");
  }
  if (flags.everything && words) {
    return Contradiction(word_flag,
                         "does not go with --everything; --objects and --parts name its masks");
  }
  if (!flags.prompts.empty() && words) {
    return Contradiction(word_flag,
                         "does not go with --click or --box; --objects and --parts name their "
                         "masks");
  }
  if (flags.everything) {
    flags.task = Task::kEverything;
  } else if (!flags.prompts.empty()) {
    flags.task = Task::kPrompts;
  } else if (words || (!flags.labels.parts.empty() && flags.labels.objects.empty())) {
    flags.task = Task::kWords;
  } else {
    return absl::InvalidArgumentError(
        "--click or --box: at least one is needed, or --everything, or words to look for "
        "(--text, --stuff)");
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const ArgParser& parser, const SegmentFlags& flags) {
  for (const FlagUse& use : kFlagUses) {
    if (parser.Given(use.name) && (use.tasks & TaskBit(flags.task)) == 0) {
      return Contradiction(use.name, absl::StrCat("goes with ", DescribeTasks(use.tasks)));
    }
  }
  const bool names = !flags.labels.empty();
  for (const char* flag : {"max-labels", "text-mode", "min-score"}) {
    if (parser.Given(flag) && flags.task != Task::kWords && !names) {
      return Contradiction(flag, "needs words, from --objects or --parts");
    }
  }
  const bool sums = flags.vocabulary.semantic || flags.vocabulary.panoptic;
  if (sums && flags.things.empty() && flags.stuff.empty()) {
    return Contradiction(flags.vocabulary.semantic ? "semantic" : "panoptic",
                         "needs words, from --text or --stuff");
  }
  return absl::OkStatus();
}

}  // namespace

PromptOptions SegmentFlags::ToPromptOptions() const {
  return {.levels = levels,
          .min_predicted_iou = min_iou,
          .min_stability = min_stability,
          .max_duplicate_iou = max_duplicate_iou,
          .min_region_area_px = min_region_area_px.value_or(0),
          .joint_attention = joint_attention};
}

VocabularyOptions SegmentFlags::ToVocabularyOptions() const {
  VocabularyOptions options = vocabulary;
  // Instances are of things and parts; stuff has none.
  if (!options.instances && !options.semantic && !options.panoptic) {
    options.instances = !things.empty() || !labels.parts.empty();
    options.semantic = !stuff.empty();
  }
  options.min_score = min_score;
  options.max_duplicate_iou = max_duplicate_iou;
  return options;
}

GenerateMasksOptions SegmentFlags::ToGenerateMasksOptions() const {
  GenerateMasksOptions options = everything_options;
  options.levels = levels;
  options.min_predicted_iou = min_iou;
  options.min_stability = min_stability;
  options.min_region_area_px = min_region_area_px;
  options.joint_attention = joint_attention;
  return options;
}

void AddSegmentFlags(ArgParser& parser, SegmentFlags& flags) {
  parser.AddGroup("Image");
  parser.AddValue("image", "FILE", "JPEG, PNG, WebP, BMP or TIFF", SetString(flags.image_path));
  parser.AddValue("session", "ID", "use this session instead of a new one",
                  SetString(flags.session_id));
  parser.AddValue("image-id", "ID", "use this image of the session; --image then serves to draw on",
                  SetString(flags.image_id));
  parser.AddSwitch("keep", "keep the new session and print its ids", flags.keep);
  AddPromptFlags(parser, flags);
  AddWordFlags(parser, flags);
  AddEverythingFlags(parser, flags);
  parser.AddGroup(kNamesGroup);
  AddLabelFlags(parser, "the same of parts; alone or with --text: regions of these parts",
                flags.labels, flags.text_mode);
  AddFilterFlags(parser, flags);
  parser.AddGroup("Output");
  parser.AddValue("out-dir", "DIR", "where to write, created if missing (.)",
                  SetString(flags.out_dir));
  parser.AddSwitch("json", "JSON instead of the table", flags.json);
  parser.AddSwitch("help", "this text", flags.help);
  AddConnectionFlags(parser, flags.connection);
}

absl::Status CheckSegmentFlags(const ArgParser& parser, SegmentFlags& flags) {
  if (absl::Status status = FindTask(flags); !status.ok()) return status;
  if (absl::Status status = CheckTogether(parser, flags); !status.ok()) return status;
  if (flags.image_id.empty() && flags.image_path.empty()) {
    return absl::InvalidArgumentError("--image: is needed, or --session with --image-id");
  }
  if (!flags.image_id.empty() && flags.session_id.empty()) {
    return absl::InvalidArgumentError("--session: is needed with --image-id");
  }
  if (flags.normalized) {
    for (Prompt& prompt : flags.prompts) prompt.frame = CoordinateFrame::kNormalized;
  }
  flags.things.mode = flags.text_mode;
  flags.labels.objects.mode = flags.text_mode;
  flags.labels.parts.mode = flags.text_mode;
  if (flags.task != Task::kWords) flags.labels.min_score = flags.min_score;
  return absl::OkStatus();
}

}  // namespace semsam::client
