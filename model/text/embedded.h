// Files that the build puts into the library. Constant; thread-safe.
#ifndef SEMSAM_MODEL_TEXT_EMBEDDED_H_
#define SEMSAM_MODEL_TEXT_EMBEDDED_H_

#include <string_view>

namespace semsam {

// data/html_entities.txt
std::string_view EmbeddedHtmlEntities();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_EMBEDDED_H_
