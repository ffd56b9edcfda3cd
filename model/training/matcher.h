// Which output learns which mask (paper, section 3.2; parity notes, section 6).
//
// Many-to-many: all masks that contain a click are matched with the tokens of that
// click, each with another. Generic queries are matched with all masks of the
// picture, one to one, as Mask DINO does it.
// Thread-safe: free functions. Nothing here carries a gradient.
#ifndef SEMSAM_MODEL_TRAINING_MATCHER_H_
#define SEMSAM_MODEL_TRAINING_MATCHER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/torch/torch.h"
#include "model/training/targets.h"

namespace semsam {

// Defaults of the published configuration; `label` is Mask DINO's, and of generic
// queries alone: the published prompt matcher does not look at words.
struct MatcherOptions {
  double mask_bce = 5;
  double mask_dice = 5;
  double box_l1 = 5;
  double box_giou = 2;
  double label = 4;
  int points = 12544;  // uniform, the same for all masks of a picture
};
absl::Status Validate(const MatcherOptions& options);

// Unweighted, each [Q, G] float32. Zero in bce and dice where a target has no mask.
struct CostParts {
  at::Tensor mask_bce;
  at::Tensor mask_dice;
  at::Tensor box_l1;
  at::Tensor box_giou;  // higher is better

  at::Tensor Total(const MatcherOptions& weights) const;
};

// logits [Q, P] and truth [G, P] in 0..1 of the masks at the same places. Throws
// c10::Error.
CostParts PairCosts(const LayerPredictions& predictions, const ImageTargets& targets,
                    const at::Tensor& logits, const at::Tensor& truth);
// The same at points [1, P, 2].
CostParts PairCosts(const LayerPredictions& predictions, const ImageTargets& targets,
                    const at::Tensor& points);

// What it costs to call query q by the object word of target g, [Q, G]: the focal
// cost of DETR's successors. Zero where the word is not known. Throws c10::Error.
at::Tensor LabelCosts(const at::Tensor& logits, const LabelTargets& targets, double alpha,
                      double gamma);

// Matched pairs: queries[i] learns targets[i]. Queries rise.
struct Pairs {
  std::vector<int64_t> queries;
  std::vector<int64_t> targets;

  int64_t size() const { return static_cast<int64_t>(queries.size()); }
};

// cost [prompts * tokens, G]. Every target of a prompt gets one of its tokens; of a
// prompt with more targets than tokens the dearest stay out. Errors:
// INVALID_ARGUMENT for a cost that is no number (a training that has diverged).
absl::StatusOr<Pairs> MatchPrompts(const at::Tensor& cost, absl::Span<const PromptTarget> prompts);

// cost [Q, G]: every target gets a query of its own. Errors as above.
absl::StatusOr<Pairs> MatchQueries(const at::Tensor& cost);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_MATCHER_H_
