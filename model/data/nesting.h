// Which annotation is a part of which, where the source does not say.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_DATA_NESTING_H_
#define SEMSAM_MODEL_DATA_NESTING_H_

#include <vector>

#include "model/data/dataset.h"
#include "model/data/sample.h"

namespace semsam {

// Applies `rules`: an annotation named as a rule's part becomes a part of the
// smallest annotation of the rule's object that holds at least `min_share` of its
// pixels; its object name is the object's. One that lies in none stays a part
// (part_name is set) of nothing known. Masks alone take part.
void NestByRules(Sample& sample, const std::vector<NestingRule>& rules);

// For masks without names: the parent of each is the smallest other mask that is
// larger and holds at least `min_share` of its pixels. Parents that are set stay.
void NestByContainment(Sample& sample, double min_share = 0.95);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_NESTING_H_
