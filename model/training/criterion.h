// The training objective (paper, section 3.2 and Table 2; parity notes, section 7).
//
//   mask_bce, mask_dice  on 12544 points a mask, three quarters of them where the
//                        prediction is least certain; or on all cells of the map
//   iou_score            (predicted IoU - soft dice there)^2; the gradient flows into
//                        both, as published
//   box_l1, box_giou     of the predicted box
//   object, part         focal loss of the class heads (label_loss.h)
//
// What is learnt follows from the data: no term of a mask where only a box is known,
// none of a word where no word is listed, and no point counts as background where
// nothing is known.
#ifndef SEMSAM_MODEL_TRAINING_CRITERION_H_
#define SEMSAM_MODEL_TRAINING_CRITERION_H_

#include <array>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/torch/torch.h"
#include "model/training/label_loss.h"
#include "model/training/matcher.h"
#include "model/training/points.h"
#include "model/training/targets.h"
#include "model/training/uniform.h"

namespace semsam {

// Paper, Figure 5: which tokens of a prompt are trained.
enum class PromptMatching {
  kManyToMany,  // one for each of its targets, by Hungarian matching
  kManyToOne,   // the one that suits its first target best, as SAM is trained
  kOneToOne,    // always the first token, on the first target
};

// Where masks are compared.
enum class MaskSampling {
  kPoints,  // published: at random points, CriterionOptions::points
  kCells,   // at every cell of the predicted map, with the share of it that a mask covers
};

struct LossWeights {
  // Published configuration.
  double mask_bce = 5;
  double mask_dice = 5;
  double iou_score = 1;
  double box_l1 = 5;
  double box_giou = 2;
  // Mask DINO's, which the paper follows: Semantic-SAM's own are not published.
  double object = 4;
  double part = 4;
};

struct CriterionOptions {
  PromptMatching matching = PromptMatching::kManyToMany;
  MatcherOptions matcher;
  LossWeights weights;
  MaskSampling sampling = MaskSampling::kPoints;  // of the matcher too
  PointOptions points;
  FocalOptions focal;
  // Factors on all terms of a pair. Mask DINO weighs denoising like the rest, and box
  // prompts are trained like it (paper, section 3.2).
  double box_prompt = 1;
  double denoising = 1;
  // Many-to-many alone: weight of what tokens without a target learn, which is the
  // best soft dice that their mask reaches with any target of their prompt. Published: 0,
  // and whatever their predicted IoU says, it was never taught. Masks are left alone: to
  // give a token the target it suits best would be many-to-one again.
  double leftover_iou = 0;
};
absl::Status Validate(const CriterionOptions& options);

// Scalars with a graph: sums over the pairs of one layer of one picture, unweighted
// but for CriterionOptions::box_prompt and denoising.
struct LossTerms {
  static constexpr int kCount = 7;
  static constexpr std::array<std::string_view, kCount> kNames = {
      "mask_bce", "mask_dice", "iou_score", "box_l1", "box_giou", "object", "part"};

  std::array<at::Tensor, kCount> values;  // in the order of kNames
};

struct ImageLosses {
  std::vector<LossTerms> layers;  // as the predictions came
  int64_t pairs = 0;              // of the last layer: what the sums are divided by
  Pairs matched;                  // of the last layer
};

// Immutable; thread-safe where each thread has a UniformSource of its own. Errors of
// all losses: INVALID_ARGUMENT where predictions are no numbers, INTERNAL for tensors
// that do not fit together.
class Criterion {
 public:
  static absl::StatusOr<Criterion> Create(const CriterionOptions& options);

  const CriterionOptions& options() const { return options_; }

  // Of prompts: `layers` first to last, all on one picture; targets.prompts says what
  // belongs to which prompt. Many-to-many matches once, on the last layer, and keeps
  // the pairs for the others. Random numbers are drawn for the last layer first, then
  // for the others in order, as published. Unmatched tokens learn nothing, or their IoU
  // on the last layer (CriterionOptions::leftover_iou).
  absl::StatusOr<ImageLosses> PromptLosses(absl::Span<const LayerPredictions> layers,
                                           const ImageTargets& targets,
                                           UniformSource& random) const;

  // Of generic queries, which every layer matches anew (Mask DINO). Unmatched ones
  // learn that they are none of the absent words, as far as they lie in what is known.
  absl::StatusOr<ImageLosses> QueryLosses(absl::Span<const LayerPredictions> layers,
                                          const ImageTargets& targets, UniformSource& random) const;

  // Of denoising queries: which target each came from is known.
  absl::StatusOr<ImageLosses> DenoisingLosses(absl::Span<const LayerPredictions> layers,
                                              const ImageTargets& targets, const Pairs& pairs,
                                              UniformSource& random) const;

  // What is minimised: the weighted sum over pictures and layers, divided by `pairs`
  // (at least 1): the number of them in all pictures of the step, on all devices. A
  // tensor without a graph where nothing was matched or could be learnt.
  at::Tensor Total(absl::Span<const ImageLosses> images, double pairs) const;

 private:
  // Matched rows as tensors.
  struct Rows {
    at::Tensor queries;  // [n] int64
    at::Tensor targets;  // [n] int64
    at::Tensor factors;  // [n] float
  };
  // Each [n].
  struct MaskTerms {
    at::Tensor bce;
    at::Tensor dice;
    at::Tensor iou;  // squared error
    at::Tensor known;
  };

  // The targets of a picture, and what kCells compares with.
  struct Truth {
    const ImageTargets& targets;
    at::Tensor shares;          // [G, h * w]; undefined: points are drawn
    at::Tensor unknown_shares;  // [1, h * w]; undefined: all is known
  };

  explicit Criterion(const CriterionOptions& options) : options_(options) {}

  Truth Prepare(const ImageTargets& targets, absl::Span<const LayerPredictions> layers) const;
  CostParts Costs(const LayerPredictions& layer, const Truth& truth, UniformSource& random) const;
  Rows RowsOf(const Pairs& pairs, const ImageTargets& targets, bool prompts,
              const at::Tensor& like) const;
  MaskTerms MaskLosses(const LayerPredictions& layer, const Truth& truth, const Rows& rows,
                       UniformSource& random) const;
  // Mask and box terms.
  LossTerms Sum(const LayerPredictions& layer, const ImageTargets& targets, const Rows& rows,
                const MaskTerms& masks) const;
  void AddLabels(const LayerPredictions& layer, const ImageTargets& targets, const Pairs& pairs,
                 const at::Tensor& factors, const at::Tensor& rest, LossTerms& terms) const;
  LossTerms OfPairs(const LayerPredictions& layer, const Truth& truth, const Pairs& pairs,
                    const Rows& rows, const at::Tensor& rest, UniformSource& random) const;
  // Squared errors of the IoUs of unmatched tokens, summed; a scalar. dice: the cost
  // [Q, G] of the same masks.
  at::Tensor LeftoverIou(const LayerPredictions& layer, const ImageTargets& targets,
                         const at::Tensor& dice, const Pairs& matched) const;
  // Many-to-one: all tokens are tried, the best of each prompt is kept in `chosen`.
  LossTerms OfBestTokens(const LayerPredictions& layer, const Truth& truth, Pairs& chosen,
                         UniformSource& random) const;

  CriterionOptions options_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_CRITERION_H_
