// What all sprite sources have in common.
#ifndef SEMSAM_MODEL_COOK_SPRITE_LIST_H_
#define SEMSAM_MODEL_COOK_SPRITE_LIST_H_

#include <string>
#include <utility>
#include <vector>

#include "model/cook/sprite_source.h"

namespace semsam {

class SpriteList : public SpriteSource {
 public:
  const SourceInfo& info() const override { return info_; }
  const std::vector<Entry>& entries() const override { return entries_; }
  const std::vector<std::pair<std::string, std::string>>& aliases() const override {
    return aliases_;
  }

 protected:
  explicit SpriteList(SourceInfo info) : info_(std::move(info)) {}

  // `name` in the collection, `object_name` in words.
  void Add(const std::string& name, std::string object_name) {
    entries_.push_back({.title = info_.name + "/" + name, .object_name = std::move(object_name)});
  }
  void AddAlias(std::string other, std::string object_name) {
    aliases_.emplace_back(std::move(other), std::move(object_name));
  }

 private:
  const SourceInfo info_;
  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, std::string>> aliases_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_SPRITE_LIST_H_
