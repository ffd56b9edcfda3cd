#include "model/tools/program/command.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"

namespace semsam {
namespace {

constexpr char kUsageUrl[] = "semsam/usage";
constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

bool AsksForHelp(const std::string& argument) {
  return argument == "--help" || argument == "-h" || argument == "help";
}

void PrintOverview(std::string_view program, std::span<const Command> commands, std::ostream& out) {
  out << "Usage: " << program << " COMMAND [options]\n\nCommands:\n";
  for (const Command& command : commands) {
    out << absl::StrFormat("  %-10s %s\n", command.name, command.summary);
  }
  out << "\n" << program << " COMMAND --help tells the options of a command.\n";
}

void PrintHelp(std::string_view program, const Command& command, std::ostream& out) {
  out << "Usage: " << program << " " << command.name << " [options]\n\n"
      << command.summary << ".\n\nOptions:\n"
      << command.help();
}

}  // namespace

absl::Status UsageError(const absl::Status& status) {
  absl::Status marked = status;
  marked.SetPayload(kUsageUrl, absl::Cord("1"));
  return marked;
}

bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsageUrl).has_value(); }

int RunProgram(std::string_view program, std::span<const Command> commands,
               std::span<const std::string> arguments, std::ostream& out, std::ostream& err) {
  if (arguments.empty() || AsksForHelp(arguments[0])) {
    PrintOverview(program, commands, arguments.empty() ? err : out);
    return arguments.empty() ? kUsage : kOk;
  }
  const auto command = std::find_if(commands.begin(), commands.end(), [&](const Command& known) {
    return arguments[0] == known.name;
  });
  if (command == commands.end()) {
    err << program << ": unknown command " << arguments[0] << "\n";
    PrintOverview(program, commands, err);
    return kUsage;
  }
  const std::span<const std::string> rest = arguments.subspan(1);
  if (std::find(rest.begin(), rest.end(), "--help") != rest.end()) {
    PrintHelp(program, *command, out);
    return kOk;
  }
  const absl::Status status = command->run(rest, out);
  out.flush();
  if (status.ok() && out.good()) return kOk;
  const std::string message =
      status.ok() ? "cannot write the output" : std::string(status.message());
  err << program << " " << command->name << ": " << message << "\n";
  if (!IsUsageError(status)) return kFailed;
  PrintHelp(program, *command, err);
  return kUsage;
}

}  // namespace semsam
