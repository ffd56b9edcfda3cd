// What the published tokenizer's ftfy does to a text before anything else: see
// mojibake.h for the origin of the rules.
#ifndef SEMSAM_MODEL_TEXT_MEND_TEXT_H_
#define SEMSAM_MODEL_TEXT_MEND_TEXT_H_

#include <unicode/unistr.h>

namespace semsam {

// Line by line, until nothing changes: HTML entities (not in or after a line with
// "<"), mojibake, Latin ligatures, wide and narrow forms, curly quotes, line
// breaks, terminal escapes, control characters, NFC. Thread-safe.
icu::UnicodeString MendText(const icu::UnicodeString& text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_MEND_TEXT_H_
