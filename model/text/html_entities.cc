#include "model/text/html_entities.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "model/text/embedded.h"
#include "model/text/take_line.h"

namespace semsam {
namespace {

// Letters and digits of a reference, "#" apart.
constexpr int kMaxName = 24;

using EntityTable = std::unordered_map<std::string_view, icu::UnicodeString>;

icu::UnicodeString ParseCodePoints(std::string_view hex) {
  icu::UnicodeString text;
  while (!hex.empty()) {
    uint32_t code_point = 0;
    const auto [end, error] =
        std::from_chars(hex.data(), hex.data() + hex.size(), code_point, /*base=*/16);
    text.append(static_cast<UChar32>(code_point));
    hex.remove_prefix(static_cast<size_t>(end - hex.data()));
    if (error != std::errc() || hex.empty()) break;
    hex.remove_prefix(1);  // the space
  }
  return text;
}

EntityTable ReadTable() {
  EntityTable table;
  std::string_view rest = EmbeddedHtmlEntities();
  while (!rest.empty()) {
    const std::string_view line = TakeLine(rest);
    const size_t space = line.find(' ');
    if (line.starts_with('#') || space == std::string_view::npos) continue;
    table.emplace(line.substr(0, space), ParseCodePoints(line.substr(space + 1)));
  }
  return table;
}

const EntityTable& Table() {
  static const auto& table = *new EntityTable(ReadTable());
  return table;
}

// What a browser makes of the numbers 0x80 to 0x9F: Windows-1252, where it has
// a character.
constexpr std::array<UChar32, 32> kWindows1252 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

// Numbers that stand for nothing: control characters and noncharacters.
bool StandsForNothing(UChar32 number) {
  return (number >= 0x1 && number <= 0x8) || number == 0xB || (number >= 0xE && number <= 0x1F) ||
         (number >= 0x7F && number <= 0x9F) || (number >= 0xFDD0 && number <= 0xFDEF) ||
         (number & 0xFFFE) == 0xFFFE;
}

icu::UnicodeString Numbered(uint32_t number) {
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) {
    return icu::UnicodeString(static_cast<UChar32>(0xFFFD));
  }
  if (number >= 0x80 && number <= 0x9F) {
    return icu::UnicodeString(kWindows1252[number - 0x80]);
  }
  const auto code_point = static_cast<UChar32>(number);
  return StandsForNothing(code_point) ? icu::UnicodeString() : icu::UnicodeString(code_point);
}

// `digits` follow "&#".
std::optional<icu::UnicodeString> FromNumber(std::string_view digits) {
  int base = 10;
  if (digits.starts_with('x') || digits.starts_with('X')) {
    digits.remove_prefix(1);
    base = 16;
  }
  uint32_t number = 0;
  const char* last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, number, base);
  if (end != last || digits.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) number = UINT32_MAX;
  icu::UnicodeString text = Numbered(number);
  // "&#59;" is left: a reference must not make the end of another.
  if (text == u';') return std::nullopt;
  return text;
}

bool IsNameCharacter(char16_t c) {
  return (c >= u'0' && c <= u'9') || (c >= u'A' && c <= u'Z') || (c >= u'a' && c <= u'z');
}

// The length of the reference that begins at `begin`, which holds "&"; 0: none does.
int32_t ReferenceLength(const icu::UnicodeString& text, int32_t begin) {
  int32_t at = begin + 1;
  if (at < text.length() && text[at] == u'#') ++at;
  const int32_t name = at;
  while (at < text.length() && at - name < kMaxName && IsNameCharacter(text[at])) ++at;
  const bool ended = at > name && at < text.length() && text[at] == u';';
  return ended ? at + 1 - begin : 0;
}

// `reference` without "&" and ";".
std::optional<icu::UnicodeString> Meaning(std::string_view reference) {
  if (reference.starts_with('#')) return FromNumber(reference.substr(1));
  const auto found = Table().find(reference);
  if (found == Table().end()) return std::nullopt;
  return found->second;
}

}  // namespace

icu::UnicodeString UnescapeEntities(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  int32_t done = 0;
  for (int32_t at = text.indexOf(u'&'); at >= 0; at = text.indexOf(u'&', at)) {
    const int32_t length = ReferenceLength(text, at);
    std::optional<icu::UnicodeString> meaning;
    if (length > 0) {
      std::string reference;
      text.tempSubString(at + 1, length - 2).toUTF8String(reference);
      meaning = Meaning(reference);
    }
    if (meaning.has_value()) {
      out.append(text, done, at - done).append(*meaning);
      done = at + length;
    }
    at += std::max(length, 1);
  }
  return out.append(text, done, text.length() - done);
}

}  // namespace semsam
