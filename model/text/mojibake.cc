#include "model/text/mojibake.h"

#include <unicode/regex.h>
#include <unicode/ucnv.h>
#include <unicode/ustring.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "model/text/mojibake_rules.h"

namespace semsam {
namespace {

using icu::UnicodeString;

// Mends upon mends: real text takes two or three.
constexpr int kMaxSteps = 32;
// A run of mojibake inside a text, mended by itself.
constexpr int kMaxDepth = 4;

std::string Expanded(std::string pattern) {
  for (const mojibake_rules::CharacterClass& entry : mojibake_rules::kClasses) {
    absl::StrReplaceAll({{absl::string_view(entry.name.data(), entry.name.size()),
                          absl::string_view(entry.characters.data(), entry.characters.size())}},
                        &pattern);
  }
  return pattern;
}

std::string AnyOf(std::span<const std::string_view> patterns) {
  return absl::StrJoin(patterns, "|",
                       [](std::string* out, std::string_view pattern) { out->append(pattern); });
}

// A compiled pattern; never null, for the patterns are constants that a test
// compiles.
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    UErrorCode error = U_ZERO_ERROR;
    pattern_.reset(icu::RegexPattern::compile(UnicodeString::fromUTF8(Expanded(text)), 0, error));
  }

  bool FoundIn(const UnicodeString& text) const {
    UErrorCode error = U_ZERO_ERROR;
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(text, error));
    return matcher->find(error) && U_SUCCESS(error);
  }

  // `text` with every match put through `replace`.
  template <typename Replace>
  UnicodeString ReplaceAll(const UnicodeString& text, const Replace& replace) const {
    UErrorCode error = U_ZERO_ERROR;
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(text, error));
    UnicodeString out;
    int32_t done = 0;
    while (matcher->find(error) && U_SUCCESS(error)) {
      const int32_t begin = matcher->start(error), end = matcher->end(error);
      out.append(text, done, begin - done);
      out.append(replace(UnicodeString(text, begin, end - begin)));
      done = end;
    }
    return out.append(text, done, text.length() - done);
  }

 private:
  std::unique_ptr<const icu::RegexPattern> pattern_;
};

struct Patterns {
  Pattern bad{AnyOf(mojibake_rules::kBadSequences)};
  Pattern utf8_run{std::string(mojibake_rules::kUtf8Run)};
  Pattern space_for_a0{std::string(mojibake_rules::kSpaceForA0)};
  Pattern lone_a_grave{std::string(mojibake_rules::kLoneAGrave)};
  Pattern lossy_utf8{std::string(mojibake_rules::kLossyUtf8)};
  Pattern utf8_variants{std::string(mojibake_rules::kUtf8Variants)};
};

const Patterns& ThePatterns() {
  static const auto& patterns = *new Patterns();
  return patterns;
}

// One one-byte encoding, both ways.
class Encoding {
 public:
  explicit Encoding(const mojibake_rules::OneByteEncoding& encoding) : sloppy_(encoding.sloppy) {
    UErrorCode error = U_ZERO_ERROR;
    UConverter* converter = ucnv_open(encoding.icu_name, &error);
    for (int byte = 0; byte < 256; ++byte) {
      characters_[byte] = static_cast<char16_t>(byte);
      // Below 80 all are ASCII; ICU exchanges some of the controls of IBM's.
      if (byte >= 0x80 && U_SUCCESS(error)) characters_[byte] = Decode(converter, byte);
    }
    ucnv_close(converter);
    // ICU has the Greek letter there; Unicode's table, and ftfy, the micro sign.
    if (std::string_view(encoding.icu_name) == mojibake_rules::kIbm437)
      characters_[0xE6] = u'\u00B5';
    if (sloppy_) characters_[0x1A] = u'\uFFFD';
    for (int byte = 0; byte < 256; ++byte) {
      bytes_.emplace(characters_[byte], static_cast<char16_t>(byte));
    }
  }

  bool sloppy() const { return sloppy_; }

  // The bytes, each as the code point of its number; nothing if `text` holds what
  // the encoding lacks.
  std::optional<UnicodeString> Encode(const UnicodeString& text) const {
    UnicodeString bytes;
    for (int32_t i = 0; i < text.length(); ++i) {
      const auto found = bytes_.find(text[i]);
      if (found == bytes_.end()) return std::nullopt;
      bytes.append(found->second);
    }
    return bytes;
  }

  char16_t Decode(char16_t byte) const { return characters_[byte & 0xFF]; }

 private:
  static char16_t Decode(UConverter* converter, int byte) {
    const char source = static_cast<char>(byte);
    char16_t target[4];
    UErrorCode error = U_ZERO_ERROR;
    const int32_t length = ucnv_toUChars(converter, target, 4, &source, 1, &error);
    // A byte without a meaning stands for the character of its number.
    if (U_FAILURE(error) || length != 1 || target[0] == 0xFFFD) return static_cast<char16_t>(byte);
    return target[0];
  }

  bool sloppy_;
  std::array<char16_t, 256> characters_;
  std::unordered_map<char16_t, char16_t> bytes_;
};

const std::vector<Encoding>& Encodings() {
  static const auto& encodings = *new std::vector<Encoding>(mojibake_rules::kEncodings.begin(),
                                                            mojibake_rules::kEncodings.end());
  return encodings;
}

const Encoding& Latin1() { return Encodings()[0]; }
const Encoding& Windows1252() { return Encodings()[1]; }

// Strict UTF-8 of `bytes`, each the code point of its number.
std::optional<UnicodeString> DecodeUtf8(const UnicodeString& bytes) {
  std::string narrow(static_cast<size_t>(bytes.length()), '\0');
  for (int32_t i = 0; i < bytes.length(); ++i) {
    narrow[static_cast<size_t>(i)] = static_cast<char>(bytes[i]);
  }
  UnicodeString text;
  UErrorCode error = U_ZERO_ERROR;
  int32_t length = 0;
  // Never longer in UTF-16.
  char16_t* buffer = text.getBuffer(bytes.length() + 1);
  if (buffer == nullptr) return std::nullopt;
  u_strFromUTF8(buffer, bytes.length() + 1, &length, narrow.data(), bytes.length(), &error);
  text.releaseBuffer(U_SUCCESS(error) ? length : 0);
  if (U_FAILURE(error)) return std::nullopt;
  return text;
}

// One variant spelling in the bytes of plain UTF-8.
UnicodeString PlainSpelling(const UnicodeString& bytes) {
  if (bytes.length() == 2) return UnicodeString(static_cast<UChar32>(0));
  const UChar32 code_point = ((bytes[1] & 0x0F) << 16) + ((bytes[2] & 0x3F) << 10) +
                             ((bytes[4] & 0x0F) << 6) + (bytes[5] & 0x3F) + 0x10000;
  const char16_t plain[] = {static_cast<char16_t>(0xF0 | (code_point >> 18)),
                            static_cast<char16_t>(0x80 | ((code_point >> 12) & 0x3F)),
                            static_cast<char16_t>(0x80 | ((code_point >> 6) & 0x3F)),
                            static_cast<char16_t>(0x80 | (code_point & 0x3F))};
  return UnicodeString(plain, 4);
}

UnicodeString RestoreA0(const UnicodeString& bytes) {
  const Patterns& patterns = ThePatterns();
  const UnicodeString words = patterns.lone_a_grave.ReplaceAll(
      bytes, [](const UnicodeString&) { return UnicodeString(u"\u00C3\u00A0 "); });
  return patterns.space_for_a0.ReplaceAll(words, [](UnicodeString match) {
    return match.findAndReplace(UnicodeString(u' '), UnicodeString(u'\u00A0'));
  });
}

// `bytes` of `encoding` as the UTF-8 that they may once have been.
std::optional<UnicodeString> ReadAsUtf8(UnicodeString bytes, bool sloppy) {
  const Patterns& patterns = ThePatterns();
  if (patterns.space_for_a0.FoundIn(bytes)) bytes = RestoreA0(bytes);
  if (sloppy) {
    bytes = patterns.lossy_utf8.ReplaceAll(
        bytes, [](const UnicodeString&) { return UnicodeString(u"\u00EF\u00BF\u00BD"); });
  }
  if (bytes.indexOf(u'\u00ED') >= 0 || bytes.indexOf(u'\u00C0') >= 0) {
    bytes = patterns.utf8_variants.ReplaceAll(bytes, PlainSpelling);
  }
  return DecodeUtf8(bytes);
}

// Latin-1 that was meant to be Windows-1252, if every byte has a meaning there.
std::optional<UnicodeString> Latin1AsWindows1252(const UnicodeString& text) {
  if (!Latin1().Encode(text).has_value()) return std::nullopt;
  UnicodeString out;
  for (int32_t i = 0; i < text.length(); ++i) {
    const char16_t byte = text[i];
    if (byte == 0x81 || byte == 0x8D || byte == 0x8F || byte == 0x90 || byte == 0x9D) {
      return std::nullopt;
    }
    out.append(byte < 0x80 ? byte : Windows1252().Decode(byte));
  }
  if (out == text) return std::nullopt;
  return out;
}

bool IsAscii(const UnicodeString& text) {
  for (int32_t i = 0; i < text.length(); ++i) {
    if (text[i] >= 0x80) return false;
  }
  return true;
}

UnicodeString FixToDepth(UnicodeString text, int depth);

// Runs of mojibake by themselves, where the whole has no one reading.
UnicodeString FixRuns(const UnicodeString& text, int depth) {
  return ThePatterns().utf8_run.ReplaceAll(text, [&](const UnicodeString& run) {
    const bool mend =
        depth < kMaxDepth && run.length() < text.length() && ThePatterns().bad.FoundIn(run);
    return mend ? FixToDepth(run, depth + 1) : run;
  });
}

UnicodeString FixOneStep(const UnicodeString& text, int depth) {
  if (IsAscii(text) || !ThePatterns().bad.FoundIn(text)) return text;
  for (const Encoding& encoding : Encodings()) {
    const std::optional<UnicodeString> bytes = encoding.Encode(text);
    if (!bytes.has_value()) continue;
    if (std::optional<UnicodeString> fixed = ReadAsUtf8(*bytes, encoding.sloppy())) return *fixed;
  }
  if (UnicodeString fixed = FixRuns(text, depth); fixed != text) return fixed;
  if (std::optional<UnicodeString> fixed = Latin1AsWindows1252(text)) return *fixed;
  return FixC1Controls(text);
}

UnicodeString FixToDepth(UnicodeString text, int depth) {
  for (int step = 0; step < kMaxSteps; ++step) {
    UnicodeString fixed = FixOneStep(text, depth);
    if (fixed == text) break;
    text = std::move(fixed);
  }
  return text;
}

}  // namespace

UnicodeString FixC1Controls(const UnicodeString& text) {
  UnicodeString out = text;
  for (int32_t i = 0; i < out.length(); ++i) {
    if (out[i] >= 0x80 && out[i] <= 0x9F) out.setCharAt(i, Windows1252().Decode(out[i]));
  }
  return out;
}

UnicodeString FixEncoding(const UnicodeString& text) { return FixToDepth(text, /*depth=*/0); }

}  // namespace semsam
