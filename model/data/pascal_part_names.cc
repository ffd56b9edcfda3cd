#include "model/data/pascal_part_names.h"

#include <algorithm>

namespace semsam {
namespace {

struct PartWord {
  std::string_view name;
  std::string_view word;
};

// A name means the same in every class that has it ("rear" is always the right ear).
constexpr PartWord kWords[] = {
    // Animals and people.
    {"head", "head"},
    {"leye", "eye"},
    {"reye", "eye"},
    {"lear", "ear"},
    {"rear", "ear"},
    {"lebrow", "eyebrow"},
    {"rebrow", "eyebrow"},
    {"nose", "nose"},
    {"mouth", "mouth"},
    {"hair", "hair"},
    {"muzzle", "muzzle"},
    {"beak", "beak"},
    {"lhorn", "horn"},
    {"rhorn", "horn"},
    {"neck", "neck"},
    {"torso", "torso"},
    {"tail", "tail"},
    {"lwing", "wing"},
    {"rwing", "wing"},
    {"llarm", "lower arm"},
    {"rlarm", "lower arm"},
    {"luarm", "upper arm"},
    {"ruarm", "upper arm"},
    {"lhand", "hand"},
    {"rhand", "hand"},
    {"lleg", "leg"},
    {"rleg", "leg"},
    {"llleg", "lower leg"},
    {"rlleg", "lower leg"},
    {"luleg", "upper leg"},
    {"ruleg", "upper leg"},
    {"lfoot", "foot"},
    {"rfoot", "foot"},
    {"lfleg", "leg"},
    {"rfleg", "leg"},
    {"lbleg", "leg"},
    {"rbleg", "leg"},
    {"lfuleg", "upper leg"},
    {"rfuleg", "upper leg"},
    {"lbuleg", "upper leg"},
    {"rbuleg", "upper leg"},
    {"lflleg", "lower leg"},
    {"rflleg", "lower leg"},
    {"lblleg", "lower leg"},
    {"rblleg", "lower leg"},
    {"lfpa", "paw"},
    {"rfpa", "paw"},
    {"lbpa", "paw"},
    {"rbpa", "paw"},
    {"lfho", "hoof"},
    {"rfho", "hoof"},
    {"lbho", "hoof"},
    {"rbho", "hoof"},
    // Vehicles.
    {"body", "body"},
    {"stern", "stern"},
    {"engine", "engine"},
    {"wheel", "wheel"},
    {"fwheel", "wheel"},
    {"bwheel", "wheel"},
    {"saddle", "saddle"},
    {"handlebar", "handlebar"},
    {"chainwheel", "chain wheel"},
    {"headlight", "headlight"},
    {"frontside", "front"},
    {"leftside", "side"},
    {"rightside", "side"},
    {"backside", "back"},
    {"roofside", "roof"},
    {"leftmirror", "mirror"},
    {"rightmirror", "mirror"},
    {"fliplate", "license plate"},
    {"bliplate", "license plate"},
    {"door", "door"},
    {"window", "window"},
    {"hfrontside", "front"},
    {"hleftside", "side"},
    {"hrightside", "side"},
    {"hbackside", "back"},
    {"hroofside", "roof"},
    {"coach", "coach"},
    {"cfrontside", "front"},
    {"cleftside", "side"},
    {"crightside", "side"},
    {"cbackside", "back"},
    {"croofside", "roof"},
    // Things of a house.
    {"cap", "cap"},
    {"pot", "pot"},
    {"plant", "plant"},
    {"screen", "screen"},
};

constexpr PartWord kObjects[] = {
    {"diningtable", "dining table"},
    {"pottedplant", "potted plant"},
    {"tvmonitor", "tv monitor"},
};

std::string Lookup(const PartWord* begin, const PartWord* end, std::string_view name) {
  const auto* found =
      std::find_if(begin, end, [name](const PartWord& word) { return word.name == name; });
  return std::string(found == end ? name : found->word);
}

}  // namespace

std::string PascalObjectWord(std::string_view name) {
  return Lookup(std::begin(kObjects), std::end(kObjects), name);
}

std::string PascalPartWord(std::string_view name) {
  const size_t number = name.rfind('_');
  if (number != std::string_view::npos &&
      name.find_first_not_of("0123456789", number + 1) == std::string_view::npos) {
    name = name.substr(0, number);
  }
  return Lookup(std::begin(kWords), std::end(kWords), name);
}

std::vector<std::string> PascalPartWords() {
  std::vector<std::string> words;
  for (const PartWord& word : kWords) {
    if (std::find(words.begin(), words.end(), word.word) == words.end()) {
      words.emplace_back(word.word);
    }
  }
  return words;
}

}  // namespace semsam
