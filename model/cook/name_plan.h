// Which names are held out: a name that is tested as never seen must not be trained on
// in any style.
#ifndef SEMSAM_MODEL_COOK_NAME_PLAN_H_
#define SEMSAM_MODEL_COOK_NAME_PLAN_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/cook/sprite_source.h"

namespace semsam {

// Of all names of `sources` in their sorted order, words that a source calls aliases
// counted as one, every tenth is held out (the 10th, the 20th, ..). Of entries without
// a name every tenth of a source. Thread-safe once made.
class NamePlan {
 public:
  explicit NamePlan(const std::vector<const SpriteSource*>& sources);

  // `entry` is the `index`-th of its source.
  bool HeldOut(const SpriteSource::Entry& entry, size_t index) const;

  const std::set<std::string>& held_out_names() const { return held_out_; }

 private:
  std::string Canonical(const std::string& name) const;

  std::map<std::string, std::string> alias_of_;
  std::set<std::string> held_out_;
};

// Every tenth of the names that are trained on and drawn in `style` and at least one of
// `others`.
std::set<std::string> NamesForUnseenStyle(const NamePlan& plan, const SpriteSource& style,
                                          const std::vector<const SpriteSource*>& others);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_NAME_PLAN_H_
