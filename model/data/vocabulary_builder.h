// Collects the names of a data set, each once, in the order in which they come.
#ifndef SEMSAM_MODEL_DATA_VOCABULARY_BUILDER_H_
#define SEMSAM_MODEL_DATA_VOCABULARY_BUILDER_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "model/data/sample.h"

namespace semsam {

// Not thread-safe.
class VocabularyBuilder {
 public:
  // `name` may be anything: what may not stand in a vocabulary's name becomes '-'.
  explicit VocabularyBuilder(std::string_view name);

  // An empty name is none.
  void AddObject(const std::string& name);
  void AddPart(const std::string& name);

  std::shared_ptr<const Vocabulary> Build(bool closed_world);

 private:
  Vocabulary vocabulary_;
  std::set<std::string> objects_;
  std::set<std::string> parts_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_VOCABULARY_BUILDER_H_
