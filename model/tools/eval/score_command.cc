#include "model/tools/eval/score_command.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/tools/eval/score_instances.h"
#include "model/tools/eval/score_maps.h"
#include "model/tools/program/command_line.h"

namespace semsam {
namespace {

using nlohmann::json;

struct Options {
  std::string kind, truth, predictions, truth_folder, prediction_folder, out;
  SemanticIouOptions semantic;
  bool class_agnostic = false;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("kind", "KIND",
               "instances (mask AP), boxes (box AP), panoptic (PQ) or semantic (mIoU)",
               &options.kind, Need::kRequired);
  line.AddText("gt", "FILE", "COCO annotations or panoptic JSON; semantic: folder of PNG",
               &options.truth, Need::kRequired);
  line.AddText("predictions", "FILE",
               "COCO results (a list) or panoptic JSON; semantic: folder of PNG",
               &options.predictions, Need::kRequired);
  line.AddText("gt-folder", "DIR", "panoptic: PNG maps of --gt; default: its path without ending",
               &options.truth_folder, Need::kOptional);
  line.AddText("predictions-folder", "DIR", "panoptic: likewise of --predictions",
               &options.prediction_folder, Need::kOptional);
  line.AddFlag("class-agnostic", "instances and boxes: categories are not looked at",
               &options.class_agnostic);
  line.AddNumber("classes", "N", "semantic: values are 0 to N - 1", &options.semantic.classes,
                 {.least = 1});
  line.AddNumber("ignore", "N", "semantic: true value that does not count; default: 255",
                 &options.semantic.ignore_label);
  line.AddText("out", "FILE", "JSON of every figure, classes included", &options.out,
               Need::kOptional);
  return line;
}

struct Scored {
  ReportTable table;
  json details;
};

absl::StatusOr<Scored> ScoreAp(const Options& options, ApKind kind) {
  SEMSAM_ASSIGN_OR_RETURN(const InstanceScores scores,
                          ScoreInstances(options.truth, options.predictions,
                                         {.kind = kind, .class_agnostic = options.class_agnostic}));
  const ApResult& result = scores.result;
  return Scored{.table = SegmentationTable(options.predictions, nullptr, nullptr,
                                           kind == ApKind::kBox ? &result : nullptr,
                                           kind == ApKind::kMask ? &result : nullptr),
                .details = ToJson(result, scores.names)};
}

absl::StatusOr<Scored> ScorePq(const Options& options) {
  SEMSAM_ASSIGN_OR_RETURN(
      const PanopticScoresByName scores,
      ScorePanoptic({.json = options.truth, .folder = options.truth_folder},
                    {.json = options.predictions, .folder = options.prediction_folder}));
  return Scored{
      .table = SegmentationTable(options.predictions, &scores.result, nullptr, nullptr, nullptr),
      .details = ToJson(scores.result, scores.names)};
}

absl::StatusOr<Scored> ScoreMiou(const Options& options) {
  if (options.semantic.classes == 0) {
    return UsageError(absl::InvalidArgumentError("--classes is missing"));
  }
  SEMSAM_ASSIGN_OR_RETURN(const SemanticResult result,
                          ScoreSemantic(options.truth, options.predictions, options.semantic));
  return Scored{.table = SegmentationTable(options.predictions, nullptr, &result, nullptr, nullptr),
                .details = ToJson(result, {})};
}

absl::StatusOr<Scored> ScoreKind(const Options& options) {
  if (options.kind == "instances") return ScoreAp(options, ApKind::kMask);
  if (options.kind == "boxes") return ScoreAp(options, ApKind::kBox);
  if (options.kind == "panoptic") return ScorePq(options);
  if (options.kind == "semantic") return ScoreMiou(options);
  return UsageError(absl::InvalidArgumentError(absl::StrCat(
      "--kind must be instances, boxes, panoptic or semantic, not \"", options.kind, "\"")));
}

// Columns that nothing was measured for are left out.
ReportTable WithoutEmptyColumns(const ReportTable& table) {
  ReportTable kept{.title = table.title, .rows_are = "Predictions"};
  ReportRow row{.name = table.rows.front().name};
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (table.rows.front().figures[i].count == 0) continue;
    kept.columns.push_back(table.columns[i]);
    row.figures.push_back(table.rows.front().figures[i]);
  }
  kept.rows.push_back(std::move(row));
  return kept;
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  const absl::Status parsed = MakeCommandLine(options).Parse(arguments);
  if (!parsed.ok()) return UsageError(parsed);
  SEMSAM_ASSIGN_OR_RETURN(const Scored scored, ScoreKind(options));
  out << FormatTable(WithoutEmptyColumns(scored.table));
  if (options.out.empty()) return absl::OkStatus();
  return WriteWholeFile(options.out, scored.details.dump(1) + "\n");
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

}  // namespace

Command ScoreCommand() {
  return {.name = "score",
          .summary = "files of predictions against files of truths, without a model",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
