#include "client/cli/legend.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/utf8.h"

namespace semsam::client {
namespace {

// Far apart for people who see colours differently, too (after Okabe and Ito).
constexpr std::array<Rgb, 8> kNumbered = {{{230, 159, 0},
                                           {86, 180, 233},
                                           {0, 158, 115},
                                           {240, 228, 66},
                                           {204, 121, 167},
                                           {213, 94, 0},
                                           {60, 130, 240},
                                           {200, 200, 200}}};

// Twelve hues, bright and deep: neither black nor white, so that an outline
// shows on both. Neighbours in the list differ most.
constexpr std::array<Rgb, kWordColours> kOfWords = {
    {{230, 159, 0},   {86, 180, 233},  {204, 60, 60},  {0, 158, 115},   {204, 121, 167},
     {240, 228, 66},  {60, 100, 220},  {150, 210, 70}, {213, 94, 0},    {120, 80, 200},
     {70, 220, 210},  {240, 120, 120}, {20, 120, 60},  {250, 170, 210}, {140, 90, 30},
     {130, 150, 250}, {190, 190, 60},  {160, 30, 110}, {120, 240, 160}, {250, 190, 120},
     {30, 130, 160},  {200, 90, 230},  {110, 120, 40}, {190, 210, 220}}};

// FNV-1a: the same on every machine, which std::hash is not.
uint32_t Hash(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

}  // namespace

Rgb NumberedColour(size_t i) { return kNumbered[i % kNumbered.size()]; }

std::string ToHex(Rgb colour) {
  return absl::StrFormat("#%02x%02x%02x", int{colour.red}, int{colour.green}, int{colour.blue});
}

std::string ToAscii(std::string_view text) {
  std::string ascii;
  while (!text.empty()) {
    const size_t length = std::max<size_t>(Utf8Length(text), 1);
    const bool printable = length == 1 && text[0] >= 0x20 && text[0] <= 0x7e;
    ascii.push_back(printable ? text[0] : '?');
    text.remove_prefix(length);
  }
  return ascii;
}

Legend Legend::Of(const std::vector<List>& lists) {
  Legend legend;
  std::set<size_t> taken;
  for (const List& list : lists) {
    legend.lists_.push_back({list.name, {legend.entries_.size(), list.words.size()}});
    for (const std::string& word : list.words) {
      if (taken.size() == kWordColours) taken.clear();
      size_t colour = Hash(absl::AsciiStrToLower(word)) % kWordColours;
      while (!taken.insert(colour).second) colour = (colour + 1) % kWordColours;
      legend.entries_.push_back({.number = static_cast<int>(legend.entries_.size()) + 1,
                                 .list = list.name,
                                 .name = word,
                                 .colour = kOfWords[colour]});
    }
  }
  return legend;
}

const Legend::Entry* Legend::Find(std::string_view list, int word_index) const {
  for (const auto& [name, range] : lists_) {
    if (name != list || word_index < 0) continue;
    if (static_cast<size_t>(word_index) < range.second) return &entries_[range.first + word_index];
  }
  return nullptr;
}

void Legend::Count(std::string_view list, int word_index) {
  if (const Entry* entry = Find(list, word_index)) ++entries_[entry - entries_.data()].regions;
}

std::string TagOf(const Legend::Entry& entry) {
  const std::string ascii = ToAscii(entry.name);
  return ascii == entry.name ? ascii : absl::StrCat("#", entry.number, " ", ascii);
}

}  // namespace semsam::client
