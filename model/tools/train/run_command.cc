#include "model/tools/train/run_command.h"

#include <string>

#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/training/recipe.h"

namespace semsam {
namespace {

struct Options {
  std::string recipe;
  std::string folders;
  bool check = false;
};

CommandLine MakeCommandLine(Options& options) {
  CommandLine line;
  line.AddText("recipe", "FILE", "what to train, by what (model/training/recipe.h)",
               &options.recipe, CommandLine::Need::kRequired);
  line.AddText("folders", "N=PATH,..", "what {N} in the paths of the recipe stands for",
               &options.folders, CommandLine::Need::kOptional);
  line.AddFlag("check", "read the recipe and stop", &options.check);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  SEMSAM_ASSIGN_OR_RETURN(const RecipeFolders folders, ParseFolders(options.folders));
  SEMSAM_ASSIGN_OR_RETURN(const Recipe recipe, ReadRecipe(options.recipe, folders));
  out << options.recipe << ": a recipe for " << recipe.model.name << "\n";
  return absl::OkStatus();
}

}  // namespace

Command RunCommand() {
  return {.name = "run", .summary = "Train a model by a recipe", .run = Run, .help = Help};
}

}  // namespace semsam
