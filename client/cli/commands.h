// The program's commands, apart from main() so that tests can call them.
#ifndef SEMSAM_CLIENT_CLI_COMMANDS_H_
#define SEMSAM_CLIENT_CLI_COMMANDS_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace semsam::client {

// Where a command writes: results to `out`, notes and progress to `err`. Both
// outlive the call.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;
};

// Each takes the arguments behind its name. `--help` prints and succeeds.
absl::Status RunSegment(const std::vector<std::string>& args, Console console);
absl::Status RunRelabel(const std::vector<std::string>& args, Console console);
absl::Status RunSessions(const std::vector<std::string>& args, Console console);
absl::Status RunInfo(const std::vector<std::string>& args, Console console);
absl::Status RunHealth(const std::vector<std::string>& args, Console console);

// Dispatches on the first of `args` (the program's name left out). Returns the
// exit code: 0, or 1 after an error was printed to `console.err`.
int RunProgram(const std::vector<std::string>& args, Console console);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_COMMANDS_H_
