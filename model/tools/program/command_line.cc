#include "model/tools/program/command_line.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace semsam {

void CommandLine::AddText(const char* name, const char* placeholder, const char* help,
                          std::string* value, Need need) {
  options_.push_back(
      {.name = name, .placeholder = placeholder, .help = help, .text = value, .need = need});
}

void CommandLine::AddFlag(const char* name, const char* help, bool* value) {
  options_.push_back({.name = name, .help = help, .flag = value});
}

CommandLine::Option* CommandLine::Find(const std::string& name) {
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [&](const Option& option) { return option.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

absl::Status CommandLine::Parse(std::span<const std::string> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    Option* option = absl::StartsWith(name, "--") ? Find(name.substr(2)) : nullptr;
    if (option == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("unknown argument ", name));
    }
    if (option->seen) return absl::InvalidArgumentError(absl::StrCat(name, " is given twice"));
    option->seen = true;
    const bool has_value = equals != std::string::npos;
    if (option->flag != nullptr) {
      if (has_value) return absl::InvalidArgumentError(absl::StrCat(name, " takes no value"));
      *option->flag = true;
    } else if (has_value) {
      *option->text = argument.substr(equals + 1);
    } else if (i + 1 < arguments.size()) {
      *option->text = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat(name, " needs a value"));
    }
  }
  for (const Option& option : options_) {
    if (option.need == Need::kRequired && !option.seen) {
      return absl::InvalidArgumentError(absl::StrCat("--", option.name, " is missing"));
    }
  }
  return absl::OkStatus();
}

std::string CommandLine::Help() const {
  std::string text;
  for (const Option& option : options_) {
    const std::string left = absl::StrCat("--", option.name, " ", option.placeholder);
    absl::StrAppendFormat(&text, "  %-18s %s%s\n", left, option.help,
                          option.need == Need::kRequired ? " (required)" : "");
  }
  return text;
}

}  // namespace semsam
