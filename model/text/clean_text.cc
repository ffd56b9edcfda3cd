#include "model/text/clean_text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "model/base/errors.h"
#include "model/text/mend_text.h"

namespace semsam {
namespace {

using icu::UnicodeString;

// Python's str.isspace, which the published tokenizer splits at.
bool IsSpace(UChar32 c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 ||
         u_charType(c) == U_SPACE_SEPARATOR || c == 0x2028 || c == 0x2029;
}

// Runs of white space as one blank, none at the ends.
UnicodeString CollapseSpace(const UnicodeString& text) {
  UnicodeString out;
  bool pending = false;
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 c = text.char32At(i);
    if (IsSpace(c)) {
      pending = !out.isEmpty();
      continue;
    }
    if (pending) out.append(u' ');
    pending = false;
    out.append(c);
  }
  return out;
}

// Most texts: nothing that could need mending.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '&'; });
}

std::string CleanPlain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ') {
      out.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

absl::StatusOr<std::string> CleanText(std::string_view text) {
  if (IsPlain(text)) return CleanPlain(text);
  if (CountCharacters(text) < 0) return InvalidField("text", "is not UTF-8");
  if (text.size() > INT32_MAX / 16) return InvalidField("text", "is too long");
  UnicodeString mended =
      MendText(UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())}));
  UnicodeString lower = CollapseSpace(mended).toLower(icu::Locale::getRoot());
  std::string out;
  lower.toUTF8String(out);
  return out;
}

int64_t CountCharacters(std::string_view text) {
  int64_t count = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto length = static_cast<int64_t>(text.size());
  for (int64_t i = 0; i < length; ++count) {
    UChar32 c = 0;
    U8_NEXT(bytes, i, length, c);
    if (c < 0) return -1;
  }
  return count;
}

}  // namespace semsam
