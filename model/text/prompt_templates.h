// The phrases over which the ensemble of a word is taken ("a photo of a dog.").
//
// The list is that of OpenAI's CLIP for ImageNet (MIT licence), with "{}." before
// it, as X-Decoder and Semantic-SAM use it. Thread-safe: free functions.
#ifndef SEMSAM_MODEL_TEXT_PROMPT_TEMPLATES_H_
#define SEMSAM_MODEL_TEXT_PROMPT_TEMPLATES_H_

#include <string>
#include <string_view>
#include <vector>

namespace semsam {

// 81 phrases, each with one "{}" for the word.
const std::vector<std::string_view>& PromptTemplates();

// `term` without "-other", "-merged" and "-stuff", which the class names of COCO carry.
std::string PlainTerm(std::string_view term);

// Every template with PlainTerm(term) in it.
std::vector<std::string> EnsemblePhrases(std::string_view term);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TEXT_PROMPT_TEMPLATES_H_
