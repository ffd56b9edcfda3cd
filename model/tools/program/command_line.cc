#include "model/tools/program/command_line.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

template <typename T>
bool Read(const std::string& text, T& number) {
  if constexpr (std::is_floating_point_v<T>) {
    return absl::SimpleAtod(text, &number);
  } else {
    return absl::SimpleAtoi(text, &number);
  }
}

// "a whole number of 1 to 64"
template <typename T>
std::string Describe(const NumberRange<T>& range) {
  constexpr NumberRange<T> kAll;
  const std::string kind = std::is_floating_point_v<T> ? "a number" : "a whole number";
  const bool from = range.least != kAll.least;
  const bool to = range.most != kAll.most;
  if (from && to) return absl::StrCat(kind, " of ", range.least, " to ", range.most);
  if (from) return absl::StrCat(kind, " of at least ", range.least);
  if (to) return absl::StrCat(kind, " of at most ", range.most);
  return kind;
}

}  // namespace

void CommandLine::AddText(const char* name, const char* placeholder, const char* help,
                          std::string* value, Need need) {
  options_.push_back({.name = name,
                      .placeholder = placeholder,
                      .help = help,
                      .read =
                          [value](const std::string& text) {
                            *value = text;
                            return absl::OkStatus();
                          },
                      .need = need});
}

template <typename T>
void CommandLine::AddNumber(const char* name, const char* placeholder, const char* help, T* value,
                            NumberRange<T> range) {
  const auto read = [value, range, name = std::string(name)](const std::string& text) {
    T number{};
    // NaN lies in no range.
    if (Read(text, number) && number >= range.least && number <= range.most) {
      *value = number;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("--", name, " must be ", Describe(range), ", not \"", text, "\""));
  };
  options_.push_back({.name = name, .placeholder = placeholder, .help = help, .read = read});
}

template void CommandLine::AddNumber(const char*, const char*, const char*, int*, NumberRange<int>);
template void CommandLine::AddNumber(const char*, const char*, const char*, int64_t*,
                                     NumberRange<int64_t>);
template void CommandLine::AddNumber(const char*, const char*, const char*, uint64_t*,
                                     NumberRange<uint64_t>);
template void CommandLine::AddNumber(const char*, const char*, const char*, double*,
                                     NumberRange<double>);

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
      SEMSAM_RETURN_IF_ERROR(option->read(argument.substr(equals + 1)));
    } else if (i + 1 < arguments.size()) {
      SEMSAM_RETURN_IF_ERROR(option->read(arguments[++i]));
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
