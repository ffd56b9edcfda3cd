#include "model/tools/inspect/tokens_command.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/text/clean_text.h"
#include "model/text/tokenizer.h"
#include "model/tools/inspect/text_lines.h"
#include "model/tools/program/command_line.h"
#include "nlohmann/json.hpp"

namespace semsam {
namespace {

constexpr int kMaxContext = 4096;

struct Options {
  std::string texts;
  int context = 0;
  bool hex = false;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("texts", "FILE", "one text a line; - reads the standard input", &options.texts,
               Need::kRequired);
  line.AddNumber("context", "N",
                 "begin, end and pad to N ids as a model with this context does; default: the ids "
                 "of the text alone",
                 &options.context, {.least = 2, .most = kMaxContext});
  line.AddFlag("hex", "the lines hold the texts' bytes in hex", &options.hex);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help() +
         "Prints one JSON object a text: {\"cleaned\": ..., \"ids\": [...]}\n";
}

absl::StatusOr<std::string> FromHex(const std::string& line) {
  const bool hex =
      line.size() % 2 == 0 && line.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!hex) return absl::InvalidArgumentError("not hex");
  return absl::HexStringToBytes(line);
}

absl::StatusOr<std::string> Describe(const Tokenizer& tokenizer, const std::string& text,
                                     int context) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string cleaned, CleanText(text));
  std::vector<int32_t> ids;
  if (context > 0) {
    SEMSAM_ASSIGN_OR_RETURN(ids, tokenizer.Encode(text, context));
    ids.resize(static_cast<size_t>(context), Tokenizer::kEnd);
  } else {
    SEMSAM_ASSIGN_OR_RETURN(ids, tokenizer.Encode(text));
  }
  return nlohmann::ordered_json{{"cleaned", cleaned}, {"ids", ids}}.dump();
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  SEMSAM_ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::Create());
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(options.texts));
  for (size_t i = 0; i < lines.size(); ++i) {
    const absl::StatusOr<std::string> text = options.hex ? FromHex(lines[i]) : lines[i];
    const absl::StatusOr<std::string> described =
        text.ok() ? Describe(tokenizer, *text, options.context) : text;
    if (!described.ok()) {
      return Annotate(described.status(), absl::StrCat(options.texts, ": line ", i + 1));
    }
    out << *described << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

Command TokensCommand() {
  return {.name = "tokens",
          .summary = "Show how the tokenizer cleans texts and which ids they become",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
