// Levels that photographs' annotations imply but do not draw.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_COOK_PHOTO_COOK_H_
#define SEMSAM_MODEL_COOK_PHOTO_COOK_H_

#include <memory>

#include "absl/status/status.h"
#include "model/data/sample.h"

namespace semsam {

// An animal whose head is known by its box: the head is what of the animal lies in the
// box, the body the rest. A head of next to nothing, or of nearly all, is left out.
void AddAnimalParts(Sample& sample);

// A person with clothes: "outfit" (all clothes), "upper body clothes", "lower body
// clothes", "footwear" as parents of what belongs to them; "head" where hair and a
// face above the neck stand out; both shoes, both arms, .. as pieces. Nothing where
// the first annotation is no person. Errors: INTERNAL.
absl::Status AddClothesGroups(Sample& sample);

// The words of `vocabulary` and those that the functions above add, as an open world:
// the parts are not drawn everywhere.
std::shared_ptr<const Vocabulary> WithPseudoParts(const Vocabulary& vocabulary);

// In a sample of a closed world: lists the objects that it does not show as absent.
void ListAbsentObjects(Sample& sample);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_PHOTO_COOK_H_
