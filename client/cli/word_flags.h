// Words on the command line, and the flags about them that commands share.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_WORD_FLAGS_H_
#define SEMSAM_CLIENT_CLI_WORD_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/args.h"
#include "client/types.h"

namespace semsam::client {

// Larger word files are refused: some 2,000 words of 64 characters are 0.5 MB.
inline constexpr size_t kMaxWordFileBytes = 1 << 20;

// "dog, polar bear,@more.txt" -> the words between the commas, trimmed, and
// those of more.txt, one a line (empty lines do not count; a comma there is part
// of the word). INVALID_ARGUMENT for an empty word, a file that cannot be read,
// holds no word or is too large, and for what is not UTF-8.
absl::StatusOr<std::vector<std::string>> ParseWords(const std::string& text);

// Appends: the flag may repeat.
ArgParser::Setter AppendWords(std::vector<std::string>& target);
// The same, but "@model" alone asks for the model's own words.
ArgParser::Setter AppendWords(WordList& target);

// Of the help of flags that take "@model".
inline constexpr char kNamesGroup[] =
    "Names (WORDS: \"dog,polar bear\", @FILE with one a line, or @model, the model's own)";

// --text-mode: of all lists of a command.
ArgParser::Setter SetTextMode(TextMode& target);

// --objects, --parts, --max-labels and --text-mode. `labels` and `mode` must
// outlive `parser`; give each list its mode after parsing.
void AddLabelFlags(ArgParser& parser, const std::string& parts_help, LabelOptions& labels,
                   TextMode& mode);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_WORD_FLAGS_H_
