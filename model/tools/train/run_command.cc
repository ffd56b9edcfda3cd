#include "model/tools/train/run_command.h"

#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>

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
  std::string folders;
  TrainerOptions trainer;
  int threads = 0;
  bool check = false;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("recipe", "FILE", "what to train, by what (model/training/recipe.h)",
               &options.recipe, Need::kRequired);
  line.AddText("output", "DIR", "for checkpoint, metrics, curves and weights (required to train)",
               &options.trainer.output, Need::kOptional);
  line.AddText("folders", "N=PATH,..", "what {N} in the paths of the recipe stands for",
               &options.folders, Need::kOptional);
  line.AddFlag("resume", "go on with the checkpoint in DIR, if there is one",
               &options.trainer.resume);
  line.AddText("device", "D", "cpu, cuda or cuda:N", &options.trainer.device, Need::kOptional);
  line.AddNumber("threads", "N", "for the network; 0: one a core", &options.threads, {.least = 0});
  line.AddNumber("workers", "N", "threads that load pictures", &options.trainer.loader.threads);
  line.AddNumber("processes", "N", "that train together", &options.trainer.processes.count);
  line.AddNumber("rank", "I", "of this process, from 0 on", &options.trainer.processes.rank);
  line.AddText("meeting", "WHERE", "file:PATH or tcp:HOST:PORT, where processes find each other",
               &options.trainer.processes.meeting, Need::kOptional);
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

void HandleSignals() {
  struct sigaction action = {};
  action.sa_handler = RequestStop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second one ends the process
  for (const int signal : {SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
  // A file that may not grow any more is an error like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
}

absl::Status Train(const Recipe& recipe, const Options& options, std::ostream& out) {
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
  if (options.trainer.output.empty()) {
    return UsageError(absl::InvalidArgumentError("--output is missing"));
  }
  if (const absl::Status status = Validate(options.trainer); !status.ok()) {
    return UsageError(status);
  }
  return Train(recipe, options, out);
}

}  // namespace

Command RunCommand() {
  return {.name = "run",
          .summary = "Train a model by a recipe; SIGTERM ends it with a checkpoint",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
