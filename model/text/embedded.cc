#include "model/text/embedded.h"

#include <cstddef>

// Defined in embedded.S.
extern "C" {
extern const char semsam_clip_vocabulary_begin[];
extern const char semsam_clip_vocabulary_end[];
extern const char semsam_html_entities_begin[];
extern const char semsam_html_entities_end[];
extern const char semsam_prompt_templates_begin[];
extern const char semsam_prompt_templates_end[];
}

namespace semsam {
namespace {

std::string_view Between(const char* begin, const char* end) {
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace

std::string_view EmbeddedClipVocabulary() {
  return Between(semsam_clip_vocabulary_begin, semsam_clip_vocabulary_end);
}

std::string_view EmbeddedHtmlEntities() {
  return Between(semsam_html_entities_begin, semsam_html_entities_end);
}

std::string_view EmbeddedPromptTemplates() {
  return Between(semsam_prompt_templates_begin, semsam_prompt_templates_end);
}

}  // namespace semsam
