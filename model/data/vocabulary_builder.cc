#include "model/data/vocabulary_builder.h"

#include "absl/strings/ascii.h"

namespace semsam {

VocabularyBuilder::VocabularyBuilder(std::string_view name)
    : vocabulary_{.name = std::string(name)} {
  for (char& c : vocabulary_.name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
        std::string_view(".-_+").find(c) == std::string_view::npos) {
      c = '-';
    }
  }
}

void VocabularyBuilder::AddObject(const std::string& name) {
  if (!name.empty() && objects_.insert(name).second) vocabulary_.objects.push_back(name);
}

void VocabularyBuilder::AddPart(const std::string& name) {
  if (!name.empty() && parts_.insert(name).second) vocabulary_.parts.push_back(name);
}

std::shared_ptr<const Vocabulary> VocabularyBuilder::Build(bool closed_world) {
  vocabulary_.closed_world = closed_world;
  return std::make_shared<const Vocabulary>(vocabulary_);
}

}  // namespace semsam
