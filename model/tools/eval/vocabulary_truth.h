// What the annotations of a sample say in the terms of the segmentation metrics; classes
// are indices of a list of object names.
//
// Parts are left out: they lie upon their objects.
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_VOCABULARY_TRUTH_H_
#define SEMSAM_MODEL_TOOLS_EVAL_VOCABULARY_TRUTH_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/data/sample.h"
#include "model/evaluation/average_precision.h"
#include "model/evaluation/panoptic_quality.h"

namespace semsam {

using ClassIndex = std::map<std::string, int>;

// The label of pixels of no class in SemanticTruth.
inline constexpr uint16_t kNoClass = 65535;

struct InstanceTruths {
  std::vector<ApTruth> truths;
  bool has_masks = true;  // false: an object is known by its box alone
};

// Countable objects.
InstanceTruths InstancesOf(const Sample& sample, const ClassIndex& classes);

// What is unknown beside crowds, as a crowd of each of `categories`: what is found there
// is no false alarm. Nothing where all is known.
std::vector<ApTruth> UnknownAsCrowds(const Sample& sample, const std::vector<int64_t>& categories);

// Things and stuff, which do not overlap.
struct PanopticTruth {
  std::vector<uint32_t> ids;  // [H, W]; kVoidSegment: nothing is known
  std::vector<PqSegment> segments;
};
PanopticTruth PanopticOf(const Sample& sample, const ClassIndex& classes);

// [H, W], kNoClass where nothing is known. Crowds are of their class.
std::vector<uint16_t> SemanticOf(const Sample& sample, const ClassIndex& classes);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_VOCABULARY_TRUTH_H_
