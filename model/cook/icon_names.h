// What an icon's or a clip art's file name says it shows, in words.
#ifndef SEMSAM_MODEL_COOK_ICON_NAMES_H_
#define SEMSAM_MODEL_COOK_ICON_NAMES_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace semsam {

// "red-apple" and "red_apple" -> "red apple". A tone of skin at the end is dropped
// ("astronaut-dark", "astronaut-medium-dark-skin-tone" -> "astronaut"), and so are
// directions ("man-running-facing-right") and the members of a family. Nothing for
// what names no thing that can be seen: flags, signs, buttons, letters, arrows, times
// of the clock, signs of the zodiac, and names that hold a tone of skin or a digit.
// Thread-safe.
std::optional<std::string> IconWords(std::string_view name);

// "barn_anthony_liekens_01" -> "barn": the longest beginning of at most two words that
// `nouns` has, in lower case. Nothing where there is none, or where it says little of
// what is to be seen ("red", "simple"). Thread-safe.
std::optional<std::string> ClipartWords(std::string_view stem, const std::set<std::string>& nouns);

// The words of WordNet's index.noun: lines "word_word n ...", the head of the file left
// out.
std::set<std::string> ParseNouns(std::string_view index);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_ICON_NAMES_H_
