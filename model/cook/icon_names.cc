#include "model/cook/icon_names.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace semsam {
namespace {

using Words = std::vector<std::string>;

Words SplitName(std::string_view name) {
  Words words = absl::StrSplit(absl::string_view(name.data(), name.size()), absl::ByAnyChar("-_ "),
                               absl::SkipEmpty());
  for (std::string& word : words) absl::AsciiStrToLower(&word);
  return words;
}

// Any of these words: no thing that can be seen, or a sign that stands for one.
constexpr std::array<std::string_view, 48> kNoThings = {
    "flag",      "button",     "arrow",       "arrows",    "sign",      "symbol",   "oclock",
    "thirty",    "letter",     "keycap",      "input",     "digit",     "tone",     "skin",
    "aries",     "taurus",     "gemini",      "cancer",    "leo",       "virgo",    "libra",
    "scorpio",   "scorpius",   "sagittarius", "capricorn", "aquarius",  "pisces",   "ophiuchus",
    "mark",      "infinity",   "multiply",    "plus",      "minus",     "divide",   "equals",
    "copyright", "trademark",  "registered",  "asterisk",  "recycling", "exchange", "no",
    "warning",   "prohibited", "restroom",    "emblem",    "ideograph", "pointed"};

// Nouns that name no thing in a picture; in file names mostly adjectives.
constexpr std::string_view kVague =
    " access adult air base black blue brown cartoon chat classic color come construction contour "
    "crazy creation crystal curve cycle don double dream electric end enthusiast etiquette "
    "evolution fall fancy female fifties fitness flaming flat flourish flying formula full funny "
    "future gender glossy gold green half hash help hide large left little logic magic memory "
    "menu metal mix mobile model munch network old open out pace paint pale part pass pink plain "
    "plush pop profile purple red reminder reunion rich right route set simple sixteenth small "
    "sport sprint stack storage sub switch team tenor three turn two unit war white wild winter "
    "wireless yellow ";

bool IsVague(const std::string& word) {
  return kVague.find(" " + word + " ") != std::string_view::npos;
}

bool IsPlainWord(const std::string& word) {
  return std::all_of(word.begin(), word.end(),
                     [](char c) { return absl::ascii_islower(static_cast<unsigned char>(c)); });
}

void DropSkinTone(Words& words) {
  const auto drop = [&words](std::string_view last) {
    if (words.size() < 2 || words.back() != last) return false;
    words.pop_back();
    return true;
  };
  if (drop("tone")) drop("skin");
  if (drop("dark") || drop("light")) {
    drop("medium");
  } else {
    drop("medium");
  }
}

// "man running facing right" -> "man running".
void DropDirection(Words& words) {
  if (words.size() < 3 || words[words.size() - 2] != "facing") return;
  if (words.back() == "left" || words.back() == "right") words.resize(words.size() - 2);
}

// Names that go on with who is in the picture: "family man woman girl" -> "family".
void DropMembers(Words& words) {
  const std::string& first = words.front();
  if (first == "family" || first == "kiss" || first == "couple") words.resize(1);
}

}  // namespace

std::optional<std::string> IconWords(std::string_view name) {
  Words words = SplitName(name);
  if (words.empty()) return std::nullopt;
  DropSkinTone(words);
  DropDirection(words);
  DropMembers(words);
  if (words.size() > 6) return std::nullopt;
  if (words.size() == 1 && words[0].size() < 2) return std::nullopt;
  for (const std::string& word : words) {
    if (!IsPlainWord(word)) return std::nullopt;
    if (std::find(kNoThings.begin(), kNoThings.end(), word) != kNoThings.end()) return std::nullopt;
  }
  std::string joined = absl::StrJoin(words, " ");
  return joined == "piata" ? "pinata" : joined;  // a set lost the letter
}

std::optional<std::string> ClipartWords(std::string_view stem, const std::set<std::string>& nouns) {
  const Words words = SplitName(stem);
  for (const size_t count : {size_t{2}, size_t{1}}) {
    if (words.size() < count) continue;
    const std::string phrase = absl::StrJoin(words.begin(), words.begin() + count, " ");
    if (phrase.size() > 2 && nouns.contains(phrase) && !IsVague(phrase)) return phrase;
  }
  return std::nullopt;
}

std::set<std::string> ParseNouns(std::string_view index) {
  std::set<std::string> nouns;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(index.data(), index.size()), '\n')) {
    const absl::string_view word = line.substr(0, line.find(' '));
    if (word.empty()) continue;  // the licence at the head is indented
    Words words = SplitName(std::string_view(word.data(), word.size()));
    if (std::all_of(words.begin(), words.end(), IsPlainWord))
      nouns.insert(absl::StrJoin(words, " "));
  }
  return nouns;
}

}  // namespace semsam
