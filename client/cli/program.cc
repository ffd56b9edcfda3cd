#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/errors.h"

namespace semsam::client {
namespace {

constexpr char kHelp[] = R"(semsam: segment images with a Semsam server

Usage: semsam COMMAND [FLAGS]; semsam COMMAND --help shows the flags.

Commands:
  segment   masks for clicks and boxes, for words, or of everything: a picture,
            a COCO file, a table
  relabel   other words for masks of a session that was kept
  sessions  lists, shows, renews and ends sessions
  info      the server's model, what it can do, and its limits
  health    SERVING or not

Example:
  semsam segment --server localhost:50051 --image photo.jpg --click 320,240
  semsam segment --image photo.jpg --click 320,240 --objects "dog,cat" --parts "head,leg"
  semsam segment --image photo.jpg --text "dog,cat" --stuff "sky,grass" --panoptic
  semsam segment --image photo.jpg --everything
)";

struct Command {
  const char* name;
  absl::Status (*run)(const std::vector<std::string>&, Console);
};

constexpr Command kCommands[] = {{"segment", RunSegment},
                                 {"relabel", RunRelabel},
                                 {"sessions", RunSessions},
                                 {"info", RunInfo},
                                 {"health", RunHealth}};

// One line, whatever the server said.
void PrintError(const absl::Status& status, std::ostream& err) {
  std::vector<std::string> details;
  if (const auto field = ErrorField(status)) details.push_back(absl::StrCat("field: ", *field));
  if (const auto reason = ErrorReason(status)) details.push_back(absl::StrCat("reason: ", *reason));
  if (const auto wait = ErrorRetryAfter(status)) {
    details.push_back(absl::StrCat("try again in ", absl::FormatDuration(*wait)));
  }
  std::string line =
      absl::StrCat("semsam: ", absl::StatusCodeToString(status.code()), ": ", status.message());
  if (!details.empty()) absl::StrAppend(&line, " (", absl::StrJoin(details, ", "), ")");
  std::replace(line.begin(), line.end(), '\n', ' ');
  err << line << "\n";
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
