#include "model/cook/name_plan.h"

#include "model/data/held_out.h"

namespace semsam {

NamePlan::NamePlan(const std::vector<const SpriteSource*>& sources) {
  for (const SpriteSource* source : sources) {
    for (const auto& [other, name] : source->aliases()) alias_of_.emplace(other, name);
  }
  std::set<std::string> names;
  for (const SpriteSource* source : sources) {
    for (const SpriteSource::Entry& entry : source->entries()) {
      if (!entry.object_name.empty()) names.insert(Canonical(entry.object_name));
    }
  }
  size_t index = 0;
  for (const std::string& name : names) {
    if (IsHeldOut(index++)) held_out_.insert(name);
  }
}

// Two sources may call each name the other's alias: no chain is followed far.
std::string NamePlan::Canonical(const std::string& name) const {
  std::string canonical = name;
  for (int step = 0; step < 4; ++step) {
    const auto found = alias_of_.find(canonical);
    if (found == alias_of_.end()) break;
    canonical = found->second;
  }
  return canonical;
}

bool NamePlan::HeldOut(const SpriteSource::Entry& entry, size_t index) const {
  if (entry.object_name.empty()) return IsHeldOut(index);
  return held_out_.contains(Canonical(entry.object_name));
}

std::set<std::string> NamesForUnseenStyle(const NamePlan& plan, const SpriteSource& style,
                                          const std::vector<const SpriteSource*>& others) {
  std::set<std::string> elsewhere;
  for (const SpriteSource* other : others) {
    for (const SpriteSource::Entry& entry : other->entries()) elsewhere.insert(entry.object_name);
  }
  std::set<std::string> candidates;
  for (size_t i = 0; i < style.entries().size(); ++i) {
    const SpriteSource::Entry& entry = style.entries()[i];
    if (entry.object_name.empty() || !elsewhere.contains(entry.object_name)) continue;
    if (!plan.HeldOut(entry, i)) candidates.insert(entry.object_name);
  }
  std::set<std::string> chosen;
  size_t index = 0;
  for (const std::string& name : candidates) {
    if (IsHeldOut(index++)) chosen.insert(name);
  }
  return chosen;
}

}  // namespace semsam
