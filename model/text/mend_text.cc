#include "model/text/mend_text.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <map>
#include <utility>

#include "model/text/html_entities.h"
#include "model/text/mojibake.h"

namespace semsam {
namespace {

using icu::UnicodeString;

// Rounds until nothing changes; text made to need more ("&amp;amp;amp;...") is
// left as far as it is mended.
constexpr int kMaxRounds = 64;

constexpr char16_t kEscape = 0x1B;

// Ligatures of Latin letters that come of typesetting, and pairs of letters that
// come of old encodings.
const std::map<char16_t, const char16_t*>& Ligatures() {
  static const auto& table = *new std::map<char16_t, const char16_t*>{
      {0x0132, u"IJ"},      {0x0133, u"ij"}, {0x0149, u"\u02BCn"}, {0x01F1, u"DZ"},
      {0x01F2, u"Dz"},      {0x01F3, u"dz"}, {0x01C4, u"D\u017D"}, {0x01C5, u"D\u017E"},
      {0x01C6, u"d\u017E"}, {0x01C7, u"LJ"}, {0x01C8, u"Lj"},      {0x01C9, u"lj"},
      {0x01CA, u"NJ"},      {0x01CB, u"Nj"}, {0x01CC, u"nj"},      {0xFB00, u"ff"},
      {0xFB01, u"fi"},      {0xFB02, u"fl"}, {0xFB03, u"ffi"},     {0xFB04, u"ffl"},
      {0xFB05, u"\u017Ft"}, {0xFB06, u"st"}};
  return table;
}

// Wide and narrow forms have their usual form as compatibility mapping.
bool HasOtherWidth(char16_t c) { return c >= 0xFF01 && c <= 0xFFEF; }

void AppendUsualWidth(char16_t c, UnicodeString& out) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(error);
  UnicodeString usual;
  if (U_SUCCESS(error)) usual = nfkc->normalize(UnicodeString(c), error);
  out.append(U_SUCCESS(error) ? usual : UnicodeString(c));
}

// Ligatures, widths, quotes.
UnicodeString ReplaceForms(const UnicodeString& text) {
  UnicodeString out;
  for (int32_t i = 0; i < text.length(); ++i) {
    const char16_t c = text[i];
    if (c < 0x80) {
      out.append(c);
    } else if (const auto found = Ligatures().find(c); found != Ligatures().end()) {
      out.append(UnicodeString(found->second).findAndReplace(u"\u02BC", u"'"));
    } else if (HasOtherWidth(c)) {
      AppendUsualWidth(c, out);
    } else if (c == 0x3000) {
      out.append(u' ');
    } else if (c >= 0x201C && c <= 0x201F) {
      out.append(u'"');
    } else if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) {
      out.append(u'\'');
    } else {
      out.append(c);
    }
  }
  return out;
}

UnicodeString FixLineBreaks(const UnicodeString& text) {
  UnicodeString out;
  for (int32_t i = 0; i < text.length(); ++i) {
    const char16_t c = text[i];
    if (c == u'\r' && i + 1 < text.length() && text[i + 1] == u'\n') continue;
    const bool breaks = c == u'\r' || c == 0x2028 || c == 0x2029 || c == 0x85;
    out.append(breaks ? u'\n' : c);
  }
  return out;
}

// The end of the terminal escape that begins at `begin`; `begin`: there is none.
int32_t EscapeEnd(const UnicodeString& text, int32_t begin) {
  if (text[begin] != kEscape || begin + 1 >= text.length() || text[begin + 1] != u'[') return begin;
  int32_t at = begin + 2;
  while (at < text.length() && (text[at] == u';' || u_isdigit(text.char32At(at)))) {
    at = text.moveIndex32(at, 1);
  }
  const bool letter = at < text.length() && ((text[at] >= u'a' && text[at] <= u'z') ||
                                             (text[at] >= u'A' && text[at] <= u'Z'));
  return letter ? at + 1 : begin;
}

UnicodeString RemoveTerminalEscapes(const UnicodeString& text) {
  UnicodeString out;
  for (int32_t i = 0; i < text.length();) {
    const int32_t end = EscapeEnd(text, i);
    if (end == i) out.append(text[i++]);
    i = std::max(i, end);
  }
  return out;
}

// Those that show nothing; white space and C1, which tells of mojibake, stay.
bool IsControl(char16_t c) {
  return c <= 0x08 || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
         (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

UnicodeString RemoveControls(const UnicodeString& text) {
  UnicodeString out;
  for (int32_t i = 0; i < text.length(); ++i) {
    if (!IsControl(text[i])) out.append(text[i]);
  }
  return out;
}

UnicodeString Nfc(const UnicodeString& text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return text;
  UnicodeString composed = nfc->normalize(text, error);
  return U_SUCCESS(error) ? composed : text;
}

UnicodeString MendRound(UnicodeString text, bool unescape) {
  if (unescape) text = UnescapeEntities(text);
  text = ReplaceForms(FixC1Controls(FixEncoding(text)));
  text = FixLineBreaks(text);
  if (text.indexOf(kEscape) >= 0) text = RemoveTerminalEscapes(text);
  return Nfc(RemoveControls(text));
}

UnicodeString MendLine(UnicodeString line, bool unescape) {
  for (int round = 0; round < kMaxRounds; ++round) {
    UnicodeString mended = MendRound(line, unescape);
    if (mended == line) break;
    line = std::move(mended);
  }
  return line;
}

}  // namespace

UnicodeString MendText(const UnicodeString& text) {
  UnicodeString out;
  // "<" tells of markup: from its line on, entities are text.
  bool unescape = true;
  for (int32_t begin = 0; begin < text.length();) {
    const int32_t line_break = text.indexOf(u'\n', begin);
    const int32_t end = line_break < 0 ? text.length() : line_break + 1;
    const UnicodeString line(text, begin, end - begin);
    if (line.indexOf(u'<') >= 0) unescape = false;
    out.append(MendLine(line, unescape));
    begin = end;
  }
  return out;
}

}  // namespace semsam
