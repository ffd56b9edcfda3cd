// PASCAL-Part's short names ("lfuleg") as words ("upper leg").
#ifndef SEMSAM_MODEL_DATA_PASCAL_PART_NAMES_H_
#define SEMSAM_MODEL_DATA_PASCAL_PART_NAMES_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace semsam {

// The twenty classes of PASCAL VOC, as words.
inline constexpr std::array<std::string_view, 20> kPascalObjects = {
    "aeroplane", "bicycle",      "bird",  "boat",         "bottle", "bus",       "car",
    "cat",       "chair",        "cow",   "dining table", "dog",    "horse",     "motorbike",
    "person",    "potted plant", "sheep", "sofa",         "train",  "tv monitor"};

// "diningtable" -> "dining table"; a class that is none of the twenty stays.
std::string PascalObjectWord(std::string_view name);

// Sides and numbers are dropped ("lfleg", "wheel_2"); a name that is not known
// stays, without its number.
std::string PascalPartWord(std::string_view name);

// All words that PascalPartWord knows, each once.
std::vector<std::string> PascalPartWords();

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_PASCAL_PART_NAMES_H_
