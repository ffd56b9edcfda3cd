// What a subcommand of a command-line tool looks like to its main.
#ifndef SEMSAM_MODEL_TOOLS_PROGRAM_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_PROGRAM_COMMAND_H_

#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace semsam {

// What --weights takes, for the help of every subcommand.
inline constexpr char kWeightsHelp[] =
    "default, safetensors, .pth, A.tsv[,B.tsv] or "
    "formula:swin-t|swin-l|swin-t-joint|openseed-swin-t|swin-tiny|semsam-lite";

struct Command {
  const char* name;
  const char* summary;
  // Runs with the arguments after the name and writes results to `out`. An
  // INVALID_ARGUMENT with the payload of UsageError is the caller's mistake.
  absl::Status (*run)(std::span<const std::string> arguments, std::ostream& out);
  // The options, one a line.
  std::string (*help)();
};

// Marks an error as one of the command line, as against one of the files.
absl::Status UsageError(const absl::Status& status);
bool IsUsageError(const absl::Status& status);

// Runs one of `commands` as the arguments (without the name of the program, which is
// `program`) ask and returns the exit code: 0, 1 after an error, 2 after a wrong
// command line.
int RunProgram(std::string_view program, std::span<const Command> commands,
               std::span<const std::string> arguments, std::ostream& out, std::ostream& err);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_PROGRAM_COMMAND_H_
