#include "client/cli/word_flags.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/utf8.h"

namespace semsam::client {
namespace {

constexpr char kOwnWords[] = "@model";
constexpr char kByteOrderMark[] = "\xef\xbb\xbf";

absl::Status AppendFile(const std::string& path, std::vector<std::string>& words) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxWordFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad() || !(file || file.eof())) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read the words in ", path));
  }
  if (text.size() > kMaxWordFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is too large for words, the limit is ", kMaxWordFileBytes, " bytes"));
  }
  absl::string_view rest = text;
  if (absl::StartsWith(rest, kByteOrderMark)) rest.remove_prefix(sizeof(kByteOrderMark) - 1);
  const size_t before = words.size();
  int number = 0;
  for (absl::string_view line : absl::StrSplit(rest, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    if (!IsUtf8({line.data(), line.size()})) {
      return absl::InvalidArgumentError(absl::StrCat(path, ", line ", number, ", is not UTF-8"));
    }
    words.emplace_back(line);
  }
  if (words.size() > before) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, " holds no word"));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseWords(const std::string& text) {
  std::vector<std::string> words;
  int number = 0;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    ++number;
    part = absl::StripAsciiWhitespace(part);
    if (part.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("word ", number, " of '", text, "' is empty"));
    }
    if (part[0] == '@') {
      absl::Status status = AppendFile(std::string(part.substr(1)), words);
      if (!status.ok()) return status;
    } else if (IsUtf8({part.data(), part.size()})) {
      words.emplace_back(part);
    } else {
      return absl::InvalidArgumentError(absl::StrCat("word ", number, " is not UTF-8"));
    }
  }
  return words;
}

ArgParser::Setter AppendWords(std::vector<std::string>& target) {
  return [&target](const std::string& value) {
    auto words = ParseWords(value);
    if (!words.ok()) return words.status();
    std::move(words->begin(), words->end(), std::back_inserter(target));
    return absl::OkStatus();
  };
}

ArgParser::Setter AppendWords(WordList& target) {
  return [&target](const std::string& value) {
    const bool own = absl::StripAsciiWhitespace(value) == kOwnWords;
    if (target.model_vocabulary || (own && !target.words.empty())) {
      return absl::InvalidArgumentError(
          absl::StrCat(kOwnWords, " stands alone; a file of that name is @./model"));
    }
    target.model_vocabulary = own;
    return own ? absl::OkStatus() : AppendWords(target.words)(value);
  };
}

ArgParser::Setter SetTextMode(TextMode& target) {
  return [&target](const std::string& value) {
    constexpr std::pair<const char*, TextMode> kModes[] = {{"model", TextMode::kModel},
                                                           {"ensemble", TextMode::kEnsemble},
                                                           {"plain", TextMode::kPlain}};
    for (const auto& [name, mode] : kModes) {
      if (value != name) continue;
      target = mode;
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("'", value, "' is no text mode: model, ensemble or plain"));
  };
}

void AddLabelFlags(ArgParser& parser, const std::string& parts_help, LabelOptions& labels,
                   TextMode& mode) {
  parser.AddRepeated("objects", "WORDS", "name each mask by the best of these objects",
                     AppendWords(labels.objects));
  parser.AddRepeated("parts", "WORDS", parts_help, AppendWords(labels.parts));
  parser.AddValue("max-labels", "N", "best names a mask and list (3)",
                  SetPositiveInt(labels.max_labels));
  parser.AddValue("text-mode", "MODE",
                  "ensemble: a word in many phrases; plain: as it is; model: as it was trained "
                  "(model)",
                  SetTextMode(mode));
}

}  // namespace semsam::client
