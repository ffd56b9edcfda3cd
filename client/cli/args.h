// Command-line flags of one command: `--name value`, `--name=value`, and
// switches. A flag may repeat, which absl's flags cannot do and clicks need.
// `--text_mode` is `--text-mode`: the server's flags are written that way.
//
// Errors are INVALID_ARGUMENT and name the flag. Not thread-safe.
#ifndef SEMSAM_CLIENT_CLI_ARGS_H_
#define SEMSAM_CLIENT_CLI_ARGS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace semsam::client {

class ArgParser {
 public:
  // Takes one value; an error's text need not name the flag.
  using Setter = std::function<absl::Status(const std::string& value)>;

  // Flags that start a group of their own in the help.
  void AddGroup(const std::string& title);
  void AddSwitch(const std::string& name, const std::string& help, bool& target);
  // `placeholder` stands for the value in the help.
  void AddValue(const std::string& name, const std::string& placeholder, const std::string& help,
                Setter set);
  // The same, and may be given any number of times.
  void AddRepeated(const std::string& name, const std::string& placeholder, const std::string& help,
                   Setter set);

  // Calls the setters in the order of the command line.
  absl::Status Parse(const std::vector<std::string>& args);

  // Whether the command line has the flag; it must have been added.
  bool Given(const std::string& name) const;

  std::string Help() const;

 private:
  struct Flag {
    std::string name;  // empty: a group title in `help`
    std::string placeholder;
    std::string help;
    bool repeated = false;
    bool given = false;
    Setter set;
  };

  // Where it stands in flags_; their number if it is not there.
  size_t IndexOf(const std::string& name) const;

  std::vector<Flag> flags_;
};

// Setters for single values.
ArgParser::Setter SetString(std::string& target);
ArgParser::Setter SetFloat(std::optional<float>& target);
ArgParser::Setter SetNonNegativeInt(int& target);
ArgParser::Setter SetPositiveInt(int& target);
ArgParser::Setter SetIntList(std::vector<int>& target);
ArgParser::Setter SetSeconds(absl::Duration& target);

// "1.5,2" -> {1.5, 2}: exactly `count` finite numbers.
absl::StatusOr<std::vector<float>> ParseNumbers(const std::string& text, size_t count);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_ARGS_H_
