#include "model/text/tokenizer.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/text/clean_text.h"
#include "model/text/embedded.h"
#include "model/text/gzip.h"

namespace semsam {
namespace {

constexpr int kMerges = 48894;
constexpr int64_t kMaxVocabularyBytes = 16 << 20;

constexpr std::pair<std::string_view, int32_t> kSpecials[] = {
    {"<|startoftext|>", Tokenizer::kStart},
    {"<|endoftext|>", Tokenizer::kEnd},
};
constexpr std::array<std::string_view, 7> kContractions = {"'s", "'t",  "'re", "'ve",
                                                           "'m", "'ll", "'d"};
// The long s, which is an s where case does not count.
constexpr std::string_view kLongS = "'\xC5\xBF";

// Iota below a letter: a mark, yet the same as the letter iota where case does not
// count. The published pattern takes it for neither a letter nor anything else.
constexpr UChar32 kIotaBelow = 0x345;

enum class Kind { kSpace, kLetter, kNumber, kOther };

struct Character {
  Kind kind;
  size_t bytes;
};

// The character at `at` of valid UTF-8.
Character CharacterAt(std::string_view text, size_t at) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  size_t next = at;
  UChar32 c = 0;
  U8_NEXT(bytes, next, text.size(), c);
  const uint32_t category = U_GET_GC_MASK(c);
  Kind kind = Kind::kOther;
  if ((category & U_GC_L_MASK) != 0) {
    kind = Kind::kLetter;
  } else if ((category & U_GC_N_MASK) != 0) {
    kind = Kind::kNumber;
  } else if (u_isUWhiteSpace(c) || c == kIotaBelow) {
    kind = Kind::kSpace;
  }
  return {kind, next - at};
}

size_t ContractionLength(std::string_view text) {
  for (const std::string_view contraction : kContractions) {
    if (text.starts_with(contraction)) return contraction.size();
  }
  return text.starts_with(kLongS) ? kLongS.size() : 0;
}

// Bytes of the word that `text` begins with, after no white space: a contraction,
// a run of letters, one number, or a run of anything else.
size_t WordLength(std::string_view text) {
  if (const size_t length = ContractionLength(text); length > 0) return length;
  const Character first = CharacterAt(text, 0);
  size_t end = first.bytes;
  if (first.kind == Kind::kNumber) return end;
  while (end < text.size()) {
    const Character next = CharacterAt(text, end);
    if (next.kind != first.kind) break;
    end += next.bytes;
  }
  return end;
}

}  // namespace

absl::StatusOr<Tokenizer> Tokenizer::Create() {
  SEMSAM_ASSIGN_OR_RETURN(const std::string vocabulary,
                          Gunzip(EmbeddedClipVocabulary(), kMaxVocabularyBytes));
  SEMSAM_ASSIGN_OR_RETURN(BytePairs pairs, BytePairs::Parse(vocabulary, kMerges));
  if (pairs.size() != kStart) return absl::DataLossError("tokenizer: wrong vocabulary");
  return Tokenizer(std::move(pairs));
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text) const {
  SEMSAM_ASSIGN_OR_RETURN(const std::string cleaned, CleanText(text));
  std::vector<int32_t> ids;
  std::string_view rest = cleaned;
  while (!rest.empty()) {
    const auto special =
        std::find_if(std::begin(kSpecials), std::end(kSpecials),
                     [&](const auto& entry) { return rest.starts_with(entry.first); });
    if (special != std::end(kSpecials)) {
      ids.push_back(special->second);
      rest.remove_prefix(special->first.size());
      continue;
    }
    if (const Character first = CharacterAt(rest, 0); first.kind == Kind::kSpace) {
      rest.remove_prefix(first.bytes);
      continue;
    }
    const size_t length = WordLength(rest);
    pairs_.Encode(rest.substr(0, length), ids);
    rest.remove_prefix(length);
  }
  return ids;
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text, int context) const {
  if (context < 2) return InvalidField("context", "must be at least 2");
  SEMSAM_ASSIGN_OR_RETURN(std::vector<int32_t> ids, Encode(text));
  if (ids.size() > static_cast<size_t>(context) - 2) ids.resize(static_cast<size_t>(context) - 2);
  ids.insert(ids.begin(), kStart);
  ids.push_back(kEnd);
  return ids;
}

}  // namespace semsam
