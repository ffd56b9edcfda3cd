#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/errors.h"

namespace semsam::client {
namespace {

constexpr char kHelp[] = R"(semsam: segment images with a Semsam server

Usage: semsam COMMAND [FLAGS]; semsam COMMAND --help shows the flags.

Commands:
  segment   masks for clicks and boxes: a picture, a COCO file, a table
  info      the server's model, what it can do, and its limits
  health    SERVING or not

Example:
  semsam segment --server localhost:50051 --image photo.jpg --click 320,240
)";

struct Command {
  const char* name;
  absl::Status (*run)(const std::vector<std::string>&, Console);
};

constexpr Command kCommands[] = {{"segment", RunSegment}, {"info", RunInfo}, {"health", RunHealth}};

void PrintError(const absl::Status& status, std::ostream& err) {
  err << "semsam: " << absl::StatusCodeToString(status.code()) << ": "
      << std::string(status.message()) << "\n";
  if (const auto field = ErrorField(status)) err << "  field: " << *field << "\n";
  if (const auto reason = ErrorReason(status)) err << "  reason: " << *reason << "\n";
  if (const auto wait = ErrorRetryAfter(status)) {
    err << "  try again in " << absl::FormatDuration(*wait) << "\n";
  }
}

}  // namespace

int RunProgram(const std::vector<std::string>& args, Console console) {
  if (args.empty() || args[0] == "--help" || args[0] == "help" || args[0] == "-h") {
    (args.empty() ? console.err : console.out) << kHelp;
    return args.empty() ? 1 : 0;
  }
  const auto* command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                     [&](const Command& c) { return args[0] == c.name; });
  absl::Status status;
  if (command == std::end(kCommands)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("there is no command '", args[0], "'; see semsam --help"));
  } else {
    status = command->run({args.begin() + 1, args.end()}, console);
  }
  if (status.ok()) return 0;
  PrintError(status, console.err);
  return 1;
}

}  // namespace semsam::client
