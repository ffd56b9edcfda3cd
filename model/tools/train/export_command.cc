#include "model/tools/train/export_command.h"

#include <string>

#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/training/export.h"

namespace semsam {
namespace {

struct Options {
  std::string checkpoint;
  std::string out;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("checkpoint", "FILE", "checkpoint.safetensors of a training, which may go on",
               &options.checkpoint, Need::kRequired);
  line.AddText("out", "FILE", "the model file to write", &options.out, Need::kRequired);
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
  SEMSAM_ASSIGN_OR_RETURN(const ExportedModel model,
                          ExportCheckpoint(options.checkpoint, options.out));
  out << "averaged weights of " << model.name << " after step " << model.steps << ", in "
      << options.out << "\n";
  return absl::OkStatus();
}

}  // namespace

Command ExportCommand() {
  return {.name = "export",
          .summary = "Write the averaged weights of a checkpoint as a model file",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
