// Mends mojibake: UTF-8 that was read as a one-byte encoding ("schÃ¶n").
//
// The rules (which sequences of characters look broken, which encodings to try
// in which order) are those of ftfy 6.1.1 by Robyn Speer (MIT licence), which the
// published tokenizer cleans its text with.
#ifndef SEMSAM_MODEL_TEXT_MOJIBAKE_H_
#define SEMSAM_MODEL_TEXT_MOJIBAKE_H_

#include <unicode/unistr.h>

namespace semsam {

// `text` with its encoding mended; text that does not look broken is unchanged.
// Work is bounded: at most a few passes over the text. Thread-safe.
icu::UnicodeString FixEncoding(const icu::UnicodeString& text);

// C1 control characters, which nobody means, as Windows-1252 reads their numbers.
icu::UnicodeString FixC1Controls(const icu::UnicodeString& text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_MOJIBAKE_H_
