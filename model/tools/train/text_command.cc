#include "model/tools/train/text_command.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/torch/runtime.h"
#include "model/training/text_training.h"

namespace semsam {
namespace {

constexpr int64_t kSteps = 1600;  // where --steps does not tell

struct Options {
  TextTrainingOptions training;
  TorchRuntimeOptions runtime;
  bool everything = false;
  std::string dtype;
  std::string limit;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  TextDistillationOptions& distillation = options.training.distillation;
  TextConfig& text = distillation.text;
  distillation.optimizer.schedule.total_steps = kSteps;
  CommandLine line;
  const auto add = [&](const char* name, const char* value, const char* help, std::string* to) {
    line.AddText(name, value, help, to, Need::kOptional);
  };
  line.AddText("targets", "F", "names and their embeddings (recipes/text/make_targets.py)",
               &options.training.targets, Need::kRequired);
  line.AddText("out", "F", "the safetensors file to write", &options.training.out, Need::kRequired);
  add("checkpoint", "F", "written now and then; gone on from where it is there",
      &options.training.checkpoint);
  add("metrics", "F", "JSON lines, appended", &options.training.metrics);
  add("start", "F", "weights to begin with; default: made from the targets",
      &options.training.start);
  add("dtype", "T", "fp32, fp16 or bf16; default: fp16", &options.dtype);
  line.AddNumber("steps", "N", "of the whole training; default: 1600",
                 &distillation.optimizer.schedule.total_steps);
  add("limit", "T", "ends after this time, e.g. 40m; default: never", &options.limit);
  line.AddNumber("batch", "N", "names a step; default: 256", &distillation.batches.texts);
  line.AddNumber("seed", "N", "of everything that is drawn; default: 1",
                 &distillation.batches.seed);
  line.AddNumber("rate", "R", "learning rate; default: 0.0015",
                 &distillation.optimizer.learning_rate);
  line.AddNumber("average", "D", "decay of the averaged weights a step; default: 0.99",
                 &distillation.optimizer.average_decay);
  line.AddNumber("phrases", "S", "share of names in a phrase of the ensemble; default: 0.15",
                 &distillation.batches.phrase_share);
  line.AddNumber("relation", "W", "weight of the relations in the loss; default: 0.1",
                 &distillation.loss.relation_weight);
  line.AddNumber("width", "N", "of the transformer; default: as in the default model", &text.width);
  line.AddNumber("layers", "N", "of the transformer", &text.layers);
  line.AddNumber("heads", "N", "of the transformer", &text.heads);
  line.AddNumber("token-rank", "N", "columns of the table of tokens, 0: the width",
                 &text.token_rank);
  line.AddNumber("threads", "N", "default: one a core", &options.runtime.threads, {.least = 0});
  line.AddFlag("everything", "learn the held-out names too, measure nothing", &options.everything);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

absl::Status BadOption(const char* name, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--", name, " must be ", what));
}

absl::Status ReadDType(const std::string& text, DType& dtype) {
  constexpr std::pair<const char*, DType> kNames[] = {
      {"fp32", DType::kFloat32}, {"fp16", DType::kFloat16}, {"bf16", DType::kBFloat16}};
  if (text.empty()) return absl::OkStatus();
  for (const auto& [name, value] : kNames) {
    if (text != name) continue;
    dtype = value;
    return absl::OkStatus();
  }
  return BadOption("dtype", "fp32, fp16 or bf16");
}

// What the options say in words becomes what they mean.
absl::Status Interpret(Options& options) {
  SEMSAM_RETURN_IF_ERROR(ReadDType(options.dtype, options.training.dtype));
  if (!options.limit.empty() && !absl::ParseDuration(options.limit, &options.training.time_limit)) {
    return BadOption("limit", "a time such as 90s or 40m");
  }
  options.training.distillation.hold_out = !options.everything;
  return Validate(options.training);
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  if (const absl::Status status = Interpret(options); !status.ok()) return UsageError(status);
  ConfigureTorch(options.runtime);
  return TrainText(options.training, RealClock(), out);
}

}  // namespace

Command TextCommand() {
  return {.name = "text",
          .summary = "Distil a text encoder from a teacher's embeddings",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
