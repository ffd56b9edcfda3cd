#include "model/tools/eval/evaluate_options.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command.h"
#include "model/tools/program/command_line.h"

namespace semsam {
namespace {

// Values as they are typed.
struct RawOptions {
  std::string split = "held-out", clicks = "deepest,random";
  std::string text_mode = "model", match = "published";
  int threads = 0, networks = 0;
  bool no_boxes = false, no_vocabulary = false;
};

void AddDataOptions(CommandLine& line, EvaluateOptions& options, RawOptions& raw) {
  using Need = CommandLine::Need;
  line.AddText("weights", "W",
               absl::StrCat(kWeightsHelp, ", or none for the baseline alone").c_str(),
               &options.weights, Need::kRequired);
  line.AddText("data", "SPEC[,SPEC]",
               "data sets: FORMAT:key=value,...; a folder of the collection, or the collection; a "
               "folder of our own form; scenes:count=N,seed=N,side=PX",
               &options.data, Need::kRequired);
  line.AddText("out", "DIR", "folder for results.json and results.txt", &options.out,
               Need::kOptional);
  line.AddText("split", "PART", "held-out, train or all; default: held-out", &raw.split,
               Need::kOptional);
  line.AddNumber("held-out", "N", "every Nth sample by name is held out; default: 10",
                 &options.choice.held_out_every, {.least = 1});
  line.AddNumber("limit", "N", "samples of each set at most, evenly spread; default: all",
                 &options.choice.limit);
  line.AddFlag("keep-going", "leave out samples that cannot be read, and fail at the end",
               &options.pictures.keep_going);
}

void AddPromptOptions(CommandLine& line, EvaluateOptions& options, RawOptions& raw) {
  using Need = CommandLine::Need;
  line.AddText("clicks", "KINDS", "deepest, random or both; default: deepest,random", &raw.clicks,
               Need::kOptional);
  line.AddNumber("seed", "N", "of random clicks and match points; default: 1",
                 &options.pictures.seed);
  line.AddNumber("min-area", "PX", "smaller masks are not asked for; default: 1",
                 &options.pictures.min_area_px, {.least = 1, .most = 1'000'000'000});
  line.AddNumber("click-radius", "PX",
                 "a click is a box of this radius in the network's input (published: 3); default: "
                 "the model's click size",
                 &options.predictor.click_radius_px, {.least = 0, .most = 64});
  line.AddText("match", "HOW",
               "published or iou: how All-Granularity pairs masks; default: published", &raw.match,
               Need::kOptional);
  line.AddFlag("no-boxes", "ask for no boxes", &raw.no_boxes);
  line.AddText("words", "FILE",
               "names to choose labels from: {\"objects\": [..], \"parts\": [..]} or an object a "
               "line; default: all names of the set",
               &options.words, Need::kOptional);
  line.AddText("text-mode", "MODE", "ensemble, plain or model: as it was trained; default: model",
               &raw.text_mode, Need::kOptional);
  line.AddFlag("no-vocabulary", "no text-only segmentation (PQ, AP, mIoU)", &raw.no_vocabulary);
}

void AddMachineOptions(CommandLine& line, EvaluateOptions& options, RawOptions& raw) {
  using Need = CommandLine::Need;
  line.AddNumber("short-edge", "PX", "of the network's input; default: the model's own",
                 &options.predictor.short_edge_px, {.least = 0, .most = 4096});
  line.AddText("device", "D", "cpu, cuda or cuda:N; default: cpu", &options.device,
               Need::kOptional);
  line.AddNumber("threads", "N", "pictures in work; default: one a core, at most 8", &raw.threads,
                 {.least = 0, .most = 256});
  line.AddNumber("networks", "N",
                 "copies of the network side by side; default: one for each picture in work on "
                 "cpu, else 1",
                 &raw.networks, {.least = 0, .most = 64});
  line.AddNumber("prompts", "N", "prompts that are decoded together; default: 32",
                 &options.interactive.prompts_per_call, {.least = 1, .most = 4096});
}

CommandLine MakeCommandLine(EvaluateOptions& options, RawOptions& raw) {
  CommandLine line;
  AddDataOptions(line, options, raw);
  AddPromptOptions(line, options, raw);
  AddMachineOptions(line, options, raw);
  return line;
}

absl::Status NotOneOf(const char* name, const std::string& value, const char* known) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", name, " must be ", known, ", not \"", value, "\""));
}

absl::Status ParsePart(const RawOptions& raw, SampleChoice& choice) {
  using Part = SampleChoice::Part;
  if (raw.split == "held-out") {
    choice.part = Part::kHeldOut;
  } else if (raw.split == "train") {
    choice.part = Part::kTrain;
  } else if (raw.split == "all") {
    choice.part = Part::kAll;
  } else {
    return NotOneOf("split", raw.split, "held-out, train or all");
  }
  return absl::OkStatus();
}

absl::Status ParseClicks(const std::string& text, std::vector<ClickRule>& clicks) {
  clicks.clear();
  for (const absl::string_view kind : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const bool deepest = kind == "deepest";
    const ClickRule rule = deepest ? ClickRule::kDeepest : ClickRule::kRandom;
    if ((!deepest && kind != "random") ||
        std::find(clicks.begin(), clicks.end(), rule) != clicks.end()) {
      return NotOneOf("clicks", text, "deepest, random or both");
    }
    clicks.push_back(rule);
  }
  return clicks.empty() ? NotOneOf("clicks", text, "deepest, random or both") : absl::OkStatus();
}

absl::Status ParsePrompts(const RawOptions& raw, EvaluateOptions& options) {
  SEMSAM_RETURN_IF_ERROR(ParseClicks(raw.clicks, options.pictures.clicks));
  options.interactive.click_kinds.clear();
  for (const ClickRule rule : options.pictures.clicks) {
    options.interactive.click_kinds.emplace_back(ClickRuleName(rule));
  }
  options.interactive.seed = options.pictures.seed;
  if (raw.match != "published" && raw.match != "iou") {
    return NotOneOf("match", raw.match, "published or iou");
  }
  options.predictor.published_matching = raw.match == "published";
  if (raw.text_mode != "ensemble" && raw.text_mode != "plain" && raw.text_mode != "model") {
    return NotOneOf("text-mode", raw.text_mode, "ensemble, plain or model");
  }
  options.text_mode_of_model = raw.text_mode == "model";
  options.predictor.text_mode = raw.text_mode == "plain" ? TextMode::kPlain : TextMode::kEnsemble;
  return absl::OkStatus();
}

absl::Status ParseMachine(const RawOptions& raw, EvaluateOptions& options) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (absl::Status status = options.predictor.Validate(); !status.ok()) {
    return NotOneOf("short-edge", absl::StrCat(options.predictor.short_edge_px),
                    "0 or a number of 32 to 4096");
  }
  const int threads = raw.threads > 0 ? raw.threads : std::min(cores, 8);
  options.interactive.threads = threads;
  options.networks = raw.networks;
  // A core gains little from a network that is spread over all of them.
  if (options.networks == 0) options.networks = options.device == "cpu" ? std::min(threads, 64) : 1;
  options.network_threads = std::max(1, cores / options.networks);
  return absl::OkStatus();
}

absl::StatusOr<EvaluateOptions> Parse(std::span<const std::string> arguments) {
  EvaluateOptions options;
  RawOptions raw;
  SEMSAM_RETURN_IF_ERROR(MakeCommandLine(options, raw).Parse(arguments));
  SEMSAM_RETURN_IF_ERROR(ParsePart(raw, options.choice));
  SEMSAM_RETURN_IF_ERROR(ParsePrompts(raw, options));
  SEMSAM_RETURN_IF_ERROR(ParseMachine(raw, options));
  options.interactive.boxes = !raw.no_boxes;
  options.vocabulary = !raw.no_vocabulary;
  return options;
}

}  // namespace

absl::StatusOr<EvaluateOptions> ParseEvaluateOptions(std::span<const std::string> arguments) {
  absl::StatusOr<EvaluateOptions> options = Parse(arguments);
  if (!options.ok()) return UsageError(options.status());
  return options;
}

std::string EvaluateHelp() {
  EvaluateOptions options;
  RawOptions raw;
  return MakeCommandLine(options, raw).Help();
}

}  // namespace semsam
