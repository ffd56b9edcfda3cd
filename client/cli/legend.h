// Colours, and what they stand for.
//
// A word has the same colour in every picture: it depends on the word alone,
// except where two words of one picture would share it; the later one then takes
// the next free colour. After kWordColours words colours repeat, and numbers
// tell them apart.
#ifndef SEMSAM_CLIENT_CLI_LEGEND_H_
#define SEMSAM_CLIENT_CLI_LEGEND_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace semsam::client {

struct Rgb {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;

  friend bool operator==(const Rgb&, const Rgb&) = default;
};

inline constexpr size_t kWordColours = 24;

// Of a mask that no word names, in a picture of words: in no other list of colours.
inline constexpr Rgb kUnnamedColour = {128, 128, 128};

// Of the i-th prompt, or mask, where there are no words; repeats.
Rgb NumberedColour(size_t i);

// "#e69f00".
std::string ToHex(Rgb colour);

// Drawn text is ASCII: any other character becomes '?'.
std::string ToAscii(std::string_view text);

// The words of one picture. Not thread-safe.
class Legend {
 public:
  struct Entry {
    int number = 0;    // from 1, through all lists
    std::string list;  // "objects", "things", ...
    std::string name;
    Rgb colour;
    int regions = 0;  // that are named by it
  };

  struct List {
    std::string name;
    std::vector<std::string> words;
  };

  // Numbers words in the order of the lists.
  static Legend Of(const std::vector<List>& lists);

  // Null for a word that there is none of.
  const Entry* Find(std::string_view list, int word_index) const;
  // One more region of that word.
  void Count(std::string_view list, int word_index);

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, std::pair<size_t, size_t>>> lists_;  // first entry, count
};

// How a picture writes the word: "cat", or "#3 caf?" where letters are lost.
std::string TagOf(const Legend::Entry& entry);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_LEGEND_H_
