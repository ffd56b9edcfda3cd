// Character references of HTML: "&amp;" -> "&", "&#x41;" -> "A".
#ifndef SEMSAM_MODEL_TEXT_HTML_ENTITIES_H_
#define SEMSAM_MODEL_TEXT_HTML_ENTITIES_H_

#include <unicode/unistr.h>

namespace semsam {

// Replaces what begins with "&" and ends in ";": the names of the HTML standard,
// all-capitals forms of some, and numbers as HTML reads them. What is none of
// these stays as it is. One pass. Thread-safe.
icu::UnicodeString UnescapeEntities(const icu::UnicodeString& text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_HTML_ENTITIES_H_
