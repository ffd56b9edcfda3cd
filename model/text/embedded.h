// Files that the build puts into the library. Constant; thread-safe.
#ifndef SEMSAM_MODEL_TEXT_EMBEDDED_H_
#define SEMSAM_MODEL_TEXT_EMBEDDED_H_

#include <string_view>

namespace semsam {

// bpe_simple_vocab_16e6.txt.gz of OpenAI's CLIP (MIT licence), from the wheel
// open-clip-torch.
std::string_view EmbeddedClipVocabulary();
// data/html_entities.txt
std::string_view EmbeddedHtmlEntities();
// data/prompt_templates.txt
std::string_view EmbeddedPromptTemplates();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_EMBEDDED_H_
