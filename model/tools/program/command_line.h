// Options of one subcommand.
//
// Why not absl flags: those are one set for the whole program, so every
// subcommand would accept, and list in its help, the options of the others.
#ifndef SEMSAM_MODEL_TOOLS_PROGRAM_COMMAND_LINE_H_
#define SEMSAM_MODEL_TOOLS_PROGRAM_COMMAND_LINE_H_

#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace semsam {

// What an option with a number takes; by default whatever T holds, but no infinity.
template <typename T>
struct NumberRange {
  T least = std::numeric_limits<T>::lowest();
  T most = std::numeric_limits<T>::max();
};

// Declare the options, Parse, read the variables. Takes `--name value`,
// `--name=value` and, of a flag, `--name`. Not thread-safe.
class CommandLine {
 public:
  enum class Need { kRequired, kOptional };

  // `placeholder` stands for the value in the help. The variables outlive this.
  void AddText(const char* name, const char* placeholder, const char* help, std::string* value,
               Need need);
  // A number; without the option `value` stays as it is. T: int, int64_t, uint64_t (all
  // of them whole numbers) or double.
  template <typename T>
  void AddNumber(const char* name, const char* placeholder, const char* help, T* value,
                 NumberRange<T> range = {});
  void AddFlag(const char* name, const char* help, bool* value);

  // INVALID_ARGUMENT that names the option which is unknown, repeated, missing, has
  // no value or is no such number.
  absl::Status Parse(std::span<const std::string> arguments);

  // One line an option.
  std::string Help() const;

 private:
  struct Option {
    std::string name;
    std::string placeholder;
    std::string help;
    std::function<absl::Status(const std::string& text)> read;  // or
    bool* flag = nullptr;
    Need need = Need::kOptional;
    bool seen = false;
  };

  Option* Find(const std::string& name);

  std::vector<Option> options_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_PROGRAM_COMMAND_LINE_H_
