#include "model/tools/train/run_command.h"

#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "model/base/clock.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/torch/runtime.h"
#include "model/training/recipe.h"
#include "model/training/trainer.h"

namespace semsam {
namespace {

struct Options {
  std::string recipe;
  std::string output;
  std::string folders;
  std::string device = "cpu";
  std::string threads = "0";
  std::string workers = "1";
  std::string rank = "0";
  std::string processes = "1";
  std::string meeting;
  bool resume = false;
  bool check = false;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("recipe", "FILE", "what to train, by what (model/training/recipe.h)",
               &options.recipe, Need::kRequired);
  line.AddText("output", "DIR", "for checkpoint, metrics, curves and weights (required to train)",
               &options.output, Need::kOptional);
  line.AddText("folders", "N=PATH,..", "what {N} in the paths of the recipe stands for",
               &options.folders, Need::kOptional);
  line.AddFlag("resume", "go on with the checkpoint in DIR, if there is one", &options.resume);
  line.AddText("device", "D", "cpu, cuda or cuda:N", &options.device, Need::kOptional);
  line.AddText("threads", "N", "for the network; 0: one a core", &options.threads, Need::kOptional);
  line.AddText("workers", "N", "threads that load pictures", &options.workers, Need::kOptional);
  line.AddText("processes", "N", "that train together", &options.processes, Need::kOptional);
  line.AddText("rank", "I", "of this process, from 0 on", &options.rank, Need::kOptional);
  line.AddText("meeting", "WHERE", "file:PATH or tcp:HOST:PORT, where processes find each other",
               &options.meeting, Need::kOptional);
  line.AddFlag("check", "read the recipe and stop", &options.check);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may take no lock");

void RequestStop(int /*signal*/) { stop_requested = true; }

struct Parsed {
  TrainerOptions trainer;
  int threads = 0;
};

absl::StatusOr<Parsed> ParseNumbers(const Options& options) {
  Parsed parsed = {.trainer = {.output = options.output,
                               .resume = options.resume,
                               .device = options.device,
                               .processes = {.meeting = options.meeting}}};
  const std::pair<const char*, std::pair<const std::string*, int*>> numbers[] = {
      {"threads", {&options.threads, &parsed.threads}},
      {"workers", {&options.workers, &parsed.trainer.loader.threads}},
      {"processes", {&options.processes, &parsed.trainer.processes.count}},
      {"rank", {&options.rank, &parsed.trainer.processes.rank}}};
  for (const auto& [name, number] : numbers) {
    if (!absl::SimpleAtoi(*number.first, number.second) || *number.second < 0) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, " must be a number"));
    }
  }
  if (options.output.empty()) return absl::InvalidArgumentError("--output is missing");
  SEMSAM_RETURN_IF_ERROR(Validate(parsed.trainer));
  return parsed;
}

void HandleSignals() {
  struct sigaction action = {};
  action.sa_handler = RequestStop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second one ends the process
  for (const int signal : {SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
  // A file that may not grow any more is an error like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
}

absl::Status Train(const Recipe& recipe, const Parsed& options, std::ostream& out) {
  ConfigureTorch({.threads = options.threads});
  HandleSignals();
  const RealClock clock;
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                          Trainer::Create(recipe, options.trainer, clock, std::cerr));
  SEMSAM_ASSIGN_OR_RETURN(const TrainingEnd end, trainer->Run(stop_requested));
  out << (end.finished ? "finished" : "stopped; --resume goes on") << " after step " << end.steps
      << " of " << trainer->total_steps() << ", in " << options.trainer.output << "\n";
  return absl::OkStatus();
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  const absl::StatusOr<RecipeFolders> folders = ParseFolders(options.folders);
  if (!folders.ok()) return UsageError(folders.status());
  SEMSAM_ASSIGN_OR_RETURN(const Recipe recipe, ReadRecipe(options.recipe, *folders));
  if (options.check) {
    out << options.recipe << ": a recipe for " << recipe.model.name << "\n";
    return absl::OkStatus();
  }
  const absl::StatusOr<Parsed> parsed = ParseNumbers(options);
  if (!parsed.ok()) return UsageError(parsed.status());
  return Train(recipe, *parsed, out);
}

}  // namespace

Command RunCommand() {
  return {.name = "run",
          .summary = "Train a model by a recipe; SIGTERM ends it with a checkpoint",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
