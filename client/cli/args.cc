#include "client/cli/args.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace semsam::client {
namespace {

constexpr size_t kHelpColumn = 30;
constexpr double kMaxSeconds = 86400;

}  // namespace

void ArgParser::AddGroup(const std::string& title) { flags_.push_back({.help = title}); }

void ArgParser::AddSwitch(const std::string& name, const std::string& help, bool& target) {
  flags_.push_back({.name = name, .help = help, .set = [&target](const std::string&) {
                      target = true;
                      return absl::OkStatus();
                    }});
}

void ArgParser::AddValue(const std::string& name, const std::string& placeholder,
                         const std::string& help, Setter set) {
  flags_.push_back({.name = name, .placeholder = placeholder, .help = help, .set = std::move(set)});
}

void ArgParser::AddRepeated(const std::string& name, const std::string& placeholder,
                            const std::string& help, Setter set) {
  AddValue(name, placeholder, help, std::move(set));
  flags_.back().repeated = true;
}

size_t ArgParser::IndexOf(const std::string& name) const {
  const auto flag = std::find_if(flags_.begin(), flags_.end(), [&name](const Flag& candidate) {
    return !candidate.name.empty() && candidate.name == name;
  });
  return static_cast<size_t>(flag - flags_.begin());
}

bool ArgParser::Given(const std::string& name) const {
  const size_t index = IndexOf(name);
  return index < flags_.size() && flags_[index].given;
}

absl::Status ArgParser::Parse(const std::vector<std::string>& args) {
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (!absl::StartsWith(arg, "--")) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", arg, "' is no flag; values follow their flag"));
    }
    const size_t equals = arg.find('=');
    const bool inline_value = equals != std::string::npos;
    std::string name = arg.substr(2, inline_value ? equals - 2 : std::string::npos);
    std::replace(name.begin(), name.end(), '_', '-');
    const size_t index = IndexOf(name);
    if (index == flags_.size()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": there is no such flag"));
    }
    Flag* flag = &flags_[index];
    if (flag->given && !flag->repeated) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": is given twice"));
    }
    flag->given = true;

    std::string value;
    if (flag->placeholder.empty()) {
      if (inline_value) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, ": takes no value"));
      }
    } else if (inline_value) {
      value = arg.substr(equals + 1);
    } else if (i + 1 < args.size()) {
      value = args[++i];
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": needs a value, ", flag->placeholder));
    }
    if (absl::Status status = flag->set(value); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

std::string ArgParser::Help() const {
  std::string text;
  for (const Flag& flag : flags_) {
    if (flag.name.empty()) {
      absl::StrAppend(&text, text.empty() ? "" : "\n", flag.help, ":\n");
      continue;
    }
    std::string left = absl::StrCat("  --", flag.name, flag.placeholder.empty() ? "" : " ",
                                    flag.placeholder, flag.repeated ? " ..." : "");
    if (left.size() + 2 > kHelpColumn) {
      left += "\n";
      left.append(kHelpColumn, ' ');
    } else {
      left.resize(kHelpColumn, ' ');
    }
    absl::StrAppend(&text, left, flag.help, "\n");
  }
  return text;
}

ArgParser::Setter SetString(std::string& target) {
  return [&target](const std::string& value) {
    if (value.empty()) return absl::InvalidArgumentError("must not be empty");
    target = value;
    return absl::OkStatus();
  };
}

ArgParser::Setter SetFloat(std::optional<float>& target) {
  return [&target](const std::string& value) {
    const auto numbers = ParseNumbers(value, 1);
    if (!numbers.ok()) return numbers.status();
    target = numbers->front();
    return absl::OkStatus();
  };
}

ArgParser::Setter SetNonNegativeInt(int& target) {
  return [&target](const std::string& value) {
    int number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", value, "' is no whole number of at least 0"));
    }
    target = number;
    return absl::OkStatus();
  };
}

ArgParser::Setter SetPositiveInt(int& target) {
  return [&target](const std::string& value) {
    int number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", value, "' is no whole number of at least 1"));
    }
    target = number;
    return absl::OkStatus();
  };
}

ArgParser::Setter SetIntList(std::vector<int>& target) {
  return [&target](const std::string& value) {
    std::vector<int> numbers;
    for (const absl::string_view part : absl::StrSplit(value, ',')) {
      int number = 0;
      if (!absl::SimpleAtoi(part, &number)) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", value, "' is no list of whole numbers like 1,2,3"));
      }
      numbers.push_back(number);
    }
    target = std::move(numbers);
    return absl::OkStatus();
  };
}

ArgParser::Setter SetSeconds(absl::Duration& target) {
  return [&target](const std::string& value) {
    double seconds = 0;
    if (!absl::SimpleAtod(value, &seconds) || !(seconds > 0 && seconds <= kMaxSeconds)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", value, "' is no time in seconds, above 0 and at most ", kMaxSeconds));
    }
    target = absl::Seconds(seconds);
    return absl::OkStatus();
  };
}

absl::StatusOr<std::vector<float>> ParseNumbers(const std::string& text, size_t count) {
  std::vector<float> numbers;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    float number = 0;
    if (!absl::SimpleAtof(part, &number) || !std::isfinite(number)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "' holds something that is no finite number"));
    }
    numbers.push_back(number);
  }
  if (numbers.size() != count) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' has not the needed count of numbers, ", count));
  }
  return numbers;
}

}  // namespace semsam::client
