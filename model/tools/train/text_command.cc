#include "model/tools/train/text_command.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/torch/runtime.h"
#include "model/training/text_training.h"

namespace semsam {
namespace {

struct Options {
  TextTrainingOptions training;
  bool everything = false;
  std::string dtype;
  std::string limit;
  std::string steps = "1600";
  std::string seed;
  std::string batch;
  std::string width;
  std::string layers;
  std::string heads;
  std::string rank;
  std::string rate;
  std::string average;
  std::string phrases;
  std::string relation;
  std::string threads;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
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
  add("steps", "N", "of the whole training; default: 1600", &options.steps);
  add("limit", "T", "ends after this time, e.g. 40m; default: never", &options.limit);
  add("batch", "N", "names a step; default: 256", &options.batch);
  add("seed", "N", "of everything that is drawn; default: 1", &options.seed);
  add("rate", "R", "learning rate; default: 0.0015", &options.rate);
  add("average", "D", "decay of the averaged weights a step; default: 0.99", &options.average);
  add("phrases", "S", "share of names in a phrase of the ensemble; default: 0.15",
      &options.phrases);
  add("relation", "W", "weight of the relations in the loss; default: 0.1", &options.relation);
  add("width", "N", "of the transformer; default: as in the default model", &options.width);
  add("layers", "N", "of the transformer", &options.layers);
  add("heads", "N", "of the transformer", &options.heads);
  add("token-rank", "N", "columns of the table of tokens, 0: the width", &options.rank);
  add("threads", "N", "default: one a core", &options.threads);
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

// Leaves `value` as it is without the option.
template <typename Integer>
absl::Status ReadInteger(const char* name, const std::string& text, Integer& value) {
  if (text.empty() || absl::SimpleAtoi(text, &value)) return absl::OkStatus();
  return BadOption(name, "a whole number");
}

absl::Status ReadReal(const char* name, const std::string& text, double& value) {
  if (text.empty() || absl::SimpleAtod(text, &value)) return absl::OkStatus();
  return BadOption(name, "a number");
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
  TextDistillationOptions& distillation = options.training.distillation;
  TextConfig& text = distillation.text;
  SEMSAM_RETURN_IF_ERROR(ReadDType(options.dtype, options.training.dtype));
  if (!options.limit.empty() && !absl::ParseDuration(options.limit, &options.training.time_limit)) {
    return BadOption("limit", "a time such as 90s or 40m");
  }
  SEMSAM_RETURN_IF_ERROR(
      ReadInteger("steps", options.steps, distillation.optimizer.schedule.total_steps));
  SEMSAM_RETURN_IF_ERROR(ReadInteger("batch", options.batch, distillation.batches.texts));
  SEMSAM_RETURN_IF_ERROR(ReadInteger("seed", options.seed, distillation.batches.seed));
  SEMSAM_RETURN_IF_ERROR(ReadReal("rate", options.rate, distillation.optimizer.learning_rate));
  SEMSAM_RETURN_IF_ERROR(
      ReadReal("average", options.average, distillation.optimizer.average_decay));
  SEMSAM_RETURN_IF_ERROR(ReadReal("phrases", options.phrases, distillation.batches.phrase_share));
  SEMSAM_RETURN_IF_ERROR(ReadReal("relation", options.relation, distillation.loss.relation_weight));
  SEMSAM_RETURN_IF_ERROR(ReadInteger("width", options.width, text.width));
  SEMSAM_RETURN_IF_ERROR(ReadInteger("layers", options.layers, text.layers));
  SEMSAM_RETURN_IF_ERROR(ReadInteger("heads", options.heads, text.heads));
  SEMSAM_RETURN_IF_ERROR(ReadInteger("token-rank", options.rank, text.token_rank));
  distillation.hold_out = !options.everything;
  return Validate(options.training);
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  if (const absl::Status status = Interpret(options); !status.ok()) return UsageError(status);
  TorchRuntimeOptions runtime;
  if (const absl::Status status = ReadInteger("threads", options.threads, runtime.threads);
      !status.ok()) {
    return UsageError(status);
  }
  ConfigureTorch(runtime);
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
