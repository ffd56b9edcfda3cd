#include "model/text/prompt_templates.h"

#include "absl/strings/str_replace.h"
#include "model/text/embedded.h"
#include "model/text/take_line.h"

namespace semsam {
namespace {

constexpr std::string_view kPlace = "{}";

std::vector<std::string_view> ReadTemplates() {
  std::vector<std::string_view> templates;
  std::string_view rest = EmbeddedPromptTemplates();
  while (!rest.empty()) {
    const std::string_view line = TakeLine(rest);
    if (line.find(kPlace) != std::string_view::npos) templates.push_back(line);
  }
  return templates;
}

}  // namespace

const std::vector<std::string_view>& PromptTemplates() {
  static const auto& templates = *new std::vector<std::string_view>(ReadTemplates());
  return templates;
}

std::string PlainTerm(std::string_view term) {
  std::string word(term);
  // One after the other, as published: what a removal makes may go too.
  for (const char* suffix : {"-other", "-merged", "-stuff"}) {
    absl::StrReplaceAll({{suffix, ""}}, &word);
  }
  return word;
}

std::vector<std::string> EnsemblePhrases(std::string_view term) {
  const std::string word = PlainTerm(term);
  std::vector<std::string> phrases;
  phrases.reserve(PromptTemplates().size());
  for (const std::string_view phrase : PromptTemplates()) {
    const size_t place = phrase.find(kPlace);
    phrases.push_back(std::string(phrase.substr(0, place))
                          .append(word)
                          .append(phrase.substr(place + kPlace.size())));
  }
  return phrases;
}

}  // namespace semsam
