#include "model/training/criterion.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"
#include "model/training/boxes.h"

namespace semsam {
namespace {

enum Term { kMaskBce, kMaskDice, kIouScore, kBoxL1, kBoxGiou, kObject, kPart };

LossTerms Zeros(const at::Tensor& like) {
  LossTerms terms;
  for (at::Tensor& value : terms.values) {
    value = at::zeros({}, like.options().dtype(at::kFloat));
  }
  return terms;
}

at::Tensor Indices(const std::vector<int64_t>& values, const at::Tensor& like) {
  return at::tensor(values, at::kLong).to(like.device());
}

// The order in which the published code goes through the layers: the last one, then
// the others from the first on.
std::vector<size_t> DrawOrder(size_t layers) {
  std::vector<size_t> order;
  if (layers > 0) order.push_back(layers - 1);
  for (size_t i = 0; i + 1 < layers; ++i) order.push_back(i);
  return order;
}

// Tokens of each prompt; an error where the queries of a layer cannot be shared out.
absl::StatusOr<int64_t> TokensAPrompt(absl::Span<const LayerPredictions> layers,
                                      const ImageTargets& targets) {
  const int64_t prompts = static_cast<int64_t>(targets.prompts.size());
  const int64_t queries = layers.back().boxes.size(0);
  const int64_t tokens = prompts == 0 ? 0 : queries / prompts;
  if (tokens * prompts != queries || (prompts > 0 && tokens == 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(queries, " queries cannot be those of ", prompts, " prompts"));
  }
  for (const LayerPredictions& layer : layers) {
    if (layer.boxes.size(0) != queries || layer.masks.size(0) != queries) {
      return absl::InvalidArgumentError("the layers differ in their number of queries");
    }
  }
  return tokens;
}

// Each token of `tokens` with the first target of its prompt.
Pairs FirstTargets(const ImageTargets& targets, int64_t tokens, bool first_token_only) {
  Pairs pairs;
  for (size_t prompt = 0; prompt < targets.prompts.size(); ++prompt) {
    if (targets.prompts[prompt].targets.empty()) continue;
    for (int64_t token = 0; token < (first_token_only ? 1 : tokens); ++token) {
      pairs.queries.push_back(static_cast<int64_t>(prompt) * tokens + token);
      pairs.targets.push_back(targets.prompts[prompt].targets.front());
    }
  }
  return pairs;
}

}  // namespace

absl::Status Validate(const CriterionOptions& options) {
  SEMSAM_RETURN_IF_ERROR(PrependField(Validate(options.matcher), "matcher"));
  const LossWeights& weights = options.weights;
  const std::pair<const char*, double> factors[] = {
      {"weights.mask_bce", weights.mask_bce},   {"weights.mask_dice", weights.mask_dice},
      {"weights.iou_score", weights.iou_score}, {"weights.box_l1", weights.box_l1},
      {"weights.box_giou", weights.box_giou},   {"weights.object", weights.object},
      {"weights.part", weights.part},           {"focal.gamma", options.focal.gamma},
      {"box_prompt", options.box_prompt},       {"denoising", options.denoising},
      {"leftover_iou", options.leftover_iou}};
  for (const auto& [name, factor] : factors) {
    if (!(factor >= 0) || std::isinf(factor)) return InvalidField(name, "must be 0 or more");
  }
  if (options.leftover_iou > 0 && options.matching != PromptMatching::kManyToMany) {
    return InvalidField("leftover_iou", "is for many-to-many matching alone");
  }
  if (!(options.focal.alpha >= 0 && options.focal.alpha <= 1)) {
    return InvalidField("focal.alpha", "must lie in 0 to 1");
  }
  const PointOptions& points = options.points;
  if (points.count < 1) return InvalidField("points.count", "must be at least 1");
  if (!(points.oversample >= 1 && points.oversample <= 100)) {
    return InvalidField("points.oversample", "must lie in 1 to 100");
  }
  if (!(points.importance >= 0 && points.importance <= 1)) {
    return InvalidField("points.importance", "must lie in 0 to 1");
  }
  return absl::OkStatus();
}

absl::StatusOr<Criterion> Criterion::Create(const CriterionOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  return Criterion(options);
}

Criterion::Truth Criterion::Prepare(const ImageTargets& targets,
                                    absl::Span<const LayerPredictions> layers) const {
  Truth truth = {.targets = targets, .shares = {}, .unknown_shares = {}};
  if (options_.sampling == MaskSampling::kPoints || layers.empty()) return truth;
  const at::Tensor& masks = layers.back().masks;
  truth.shares = MaskShares(targets.masks, masks.size(1), masks.size(2));
  if (targets.unknown.defined()) {
    truth.unknown_shares = MaskShares(targets.unknown, masks.size(1), masks.size(2));
  }
  return truth;
}

CostParts Criterion::Costs(const LayerPredictions& layer, const Truth& truth,
                           UniformSource& random) const {
  if (truth.shares.defined()) {
    return PairCosts(layer, truth.targets, layer.masks.flatten(1), truth.shares);
  }
  const at::Tensor points = random.Draw({1, options_.matcher.points, 2});
  return PairCosts(layer, truth.targets, points.to(layer.masks.device()));
}

Criterion::Rows Criterion::RowsOf(const Pairs& pairs, const ImageTargets& targets, bool prompts,
                                  const at::Tensor& like) const {
  std::vector<float> factors(pairs.queries.size(), 1.0f);
  if (prompts && !targets.prompts.empty()) {
    const int64_t tokens = like.size(0) / static_cast<int64_t>(targets.prompts.size());
    for (size_t i = 0; i < factors.size(); ++i) {
      const PromptTarget& prompt = targets.prompts[pairs.queries[i] / tokens];
      if (prompt.is_box) factors[i] = static_cast<float>(options_.box_prompt);
    }
  }
  return {.queries = Indices(pairs.queries, like),
          .targets = Indices(pairs.targets, like),
          .factors = at::tensor(factors, at::kFloat).to(like.device())};
}

Criterion::MaskTerms Criterion::MaskLosses(const LayerPredictions& layer, const Truth& scene,
                                           const Rows& rows, UniformSource& random) const {
  const ImageTargets& targets = scene.targets;
  at::Tensor logits = layer.masks.index_select(0, rows.queries);
  at::Tensor truth, unknown;  // [n, P]; [n, P] or [1, P]
  if (scene.shares.defined()) {
    logits = FullPrecision(logits).flatten(1);
    truth = scene.shares.index_select(0, rows.targets);
    unknown = scene.unknown_shares;
  } else {
    const at::Tensor points = UncertainPoints(logits.detach(), options_.points, random);
    truth = SampleMasksAt(targets.masks, rows.targets, points);
    logits = SampleLogitsAt(logits, points);
    if (targets.unknown.defined()) {
      unknown = SampleMasksAt(targets.unknown, at::zeros_like(rows.targets), points);
    }
  }
  MaskTerms terms;
  terms.known = targets.has_mask.to(at::kFloat).index_select(0, rows.targets);
  at::Tensor inside = logits.sigmoid();
  const at::Tensor entropy = at::softplus(logits) - logits * truth;
  if (unknown.defined()) {
    // Outside of its mask nothing is known of these places.
    const at::Tensor counts = ((unknown > 0) & (truth <= 0)).logical_not().to(at::kFloat);
    inside = inside * counts;
    terms.bce = (entropy * counts).sum(1) / counts.sum(1).clamp_min(1);
  } else {
    terms.bce = entropy.mean(1);
  }
  terms.dice = 1 - (2 * (inside * truth).sum(1) + 1) / (inside.sum(1) + truth.sum(1) + 1);
  if (layer.ious.defined()) {
    const at::Tensor ious = FullPrecision(layer.ious).index_select(0, rows.queries);
    terms.iou = (ious - (1 - terms.dice)).square();
  } else {
    terms.iou = at::zeros_like(terms.known);
  }
  return terms;
}

LossTerms Criterion::Sum(const LayerPredictions& layer, const ImageTargets& targets,
                         const Rows& rows, const MaskTerms& masks) const {
  LossTerms terms = Zeros(layer.boxes);
  const at::Tensor factors = rows.factors * masks.known;
  terms.values[kMaskBce] = (masks.bce * factors).sum();
  terms.values[kMaskDice] = (masks.dice * factors).sum();
  terms.values[kIouScore] = (masks.iou * factors).sum();
  const at::Tensor boxes = FullPrecision(layer.boxes).index_select(0, rows.queries);
  const at::Tensor truth = targets.boxes.index_select(0, rows.targets);
  terms.values[kBoxL1] = ((boxes - truth).abs().sum(1) * rows.factors).sum();
  terms.values[kBoxGiou] = ((1 - GeneralisedIou(boxes, truth)) * rows.factors).sum();
  return terms;
}

void Criterion::AddLabels(const LayerPredictions& layer, const ImageTargets& targets,
                          const Pairs& pairs, const at::Tensor& factors, const at::Tensor& rest,
                          LossTerms& terms) const {
  const auto add = [&](const at::Tensor& logits, const LabelTargets& labels, Term term) {
    if (!logits.defined() || !labels.listed.defined() || logits.size(1) == 0) return;
    LabelExamples examples = MakeLabelExamples(logits.size(0), labels, pairs, rest);
    if (factors.defined()) {
      const at::Tensor queries = Indices(pairs.queries, logits);
      const at::Tensor scaled = examples.weights.index_select(0, queries) * factors.unsqueeze(1);
      examples.weights.index_copy_(0, queries, scaled);
    }
    terms.values[term] = FocalLoss(logits, examples, options_.focal);
  };
  add(layer.object_logits, targets.objects, kObject);
  add(layer.part_logits, targets.parts, kPart);
}

LossTerms Criterion::OfPairs(const LayerPredictions& layer, const Truth& truth, const Pairs& pairs,
                             const Rows& rows, const at::Tensor& rest,
                             UniformSource& random) const {
  LossTerms terms = pairs.size() == 0
                        ? Zeros(layer.boxes)
                        : Sum(layer, truth.targets, rows, MaskLosses(layer, truth, rows, random));
  AddLabels(layer, truth.targets, pairs, rows.factors, rest, terms);
  return terms;
}

at::Tensor Criterion::LeftoverIou(const LayerPredictions& layer, const ImageTargets& targets,
                                  const at::Tensor& dice, const Pairs& matched) const {
  const int64_t tokens = layer.ious.size(0) / static_cast<int64_t>(targets.prompts.size());
  const at::Tensor costs = dice.detach().to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor known = targets.has_mask.to(at::kCPU).contiguous();
  std::vector<int64_t> queries;
  std::vector<float> reached;
  size_t next = 0;  // of `matched`, whose queries rise
  for (int64_t query = 0; query < layer.ious.size(0); ++query) {
    if (next < matched.queries.size() && matched.queries[next] == query) {
      ++next;
      continue;
    }
    const float* row = costs.const_data_ptr<float>() + query * costs.size(1);
    float best = -1;
    for (const int64_t target : targets.prompts[query / tokens].targets) {
      if (known.const_data_ptr<bool>()[target]) best = std::max(best, 1 - row[target]);
    }
    if (best < 0) continue;
    queries.push_back(query);
    reached.push_back(best);
  }
  const at::Tensor ious = FullPrecision(layer.ious).index_select(0, Indices(queries, layer.ious));
  return (ious - at::tensor(reached, ious.options())).square().sum();
}

LossTerms Criterion::OfBestTokens(const LayerPredictions& layer, const Truth& scene, Pairs& chosen,
                                  UniformSource& random) const {
  const ImageTargets& targets = scene.targets;
  chosen = {};
  const int64_t tokens =
      layer.boxes.size(0) / std::max<int64_t>(1, static_cast<int64_t>(targets.prompts.size()));
  const Pairs all = FirstTargets(targets, tokens, /*first_token_only=*/false);
  if (all.size() == 0) return Zeros(layer.boxes);
  const Rows rows = RowsOf(all, targets, /*prompts=*/true, layer.boxes);
  const MaskTerms masks = MaskLosses(layer, scene, rows, random);
  at::Tensor best;
  {
    const c10::NoGradGuard no_grad;
    const at::Tensor boxes = FullPrecision(layer.boxes).index_select(0, rows.queries);
    const at::Tensor truth = targets.boxes.index_select(0, rows.targets);
    // Of a target without a mask the box decides.
    const at::Tensor box_cost = (boxes - truth).abs().sum(1) - GeneralisedIou(boxes, truth);
    const at::Tensor cost = at::where(masks.known > 0, masks.bce + masks.dice, box_cost);
    const at::Tensor level = cost.view({-1, tokens}).argmin(1);
    best = level + at::arange(level.size(0), level.options()) * tokens;  // rows of `all`
  }
  const at::Tensor picked = best.to(at::kCPU).contiguous();
  for (int64_t i = 0; i < picked.size(0); ++i) {
    const int64_t row = picked.const_data_ptr<int64_t>()[i];
    chosen.queries.push_back(all.queries[row]);
    chosen.targets.push_back(all.targets[row]);
  }
  const auto keep = [&best](const at::Tensor& values) { return values.index_select(0, best); };
  const Rows kept = {keep(rows.queries), keep(rows.targets), keep(rows.factors)};
  LossTerms terms = Sum(layer, targets, kept,
                        {keep(masks.bce), keep(masks.dice), keep(masks.iou), keep(masks.known)});
  AddLabels(layer, targets, chosen, kept.factors, /*rest=*/{}, terms);
  return terms;
}

absl::StatusOr<ImageLosses> Criterion::PromptLosses(absl::Span<const LayerPredictions> layers,
                                                    const ImageTargets& targets,
                                                    UniformSource& random) const {
  return CatchTorch([&]() -> absl::StatusOr<ImageLosses> {
    ImageLosses losses;
    losses.layers.resize(layers.size());
    if (layers.empty()) return losses;
    const LayerPredictions& last = layers.back();
    SEMSAM_ASSIGN_OR_RETURN(const int64_t tokens, TokensAPrompt(layers, targets));
    const Truth truth = Prepare(targets, layers);
    at::Tensor dice;
    if (options_.matching == PromptMatching::kManyToMany && targets.size() > 0) {
      const CostParts costs = Costs(last, truth, random);
      SEMSAM_ASSIGN_OR_RETURN(losses.matched,
                              MatchPrompts(costs.Total(options_.matcher), targets.prompts));
      dice = costs.mask_dice;
    } else if (options_.matching == PromptMatching::kOneToOne) {
      losses.matched = FirstTargets(targets, tokens, /*first_token_only=*/true);
    }
    const Rows rows = RowsOf(losses.matched, targets, /*prompts=*/true, last.boxes);
    for (const size_t i : DrawOrder(layers.size())) {
      if (options_.matching == PromptMatching::kManyToOne) {
        Pairs chosen;
        losses.layers[i] = OfBestTokens(layers[i], truth, chosen, random);
        if (i + 1 == layers.size()) losses.matched = std::move(chosen);
      } else {
        losses.layers[i] = OfPairs(layers[i], truth, losses.matched, rows, /*rest=*/{}, random);
      }
    }
    losses.pairs = losses.matched.size();
    if (options_.leftover_iou > 0 && dice.defined() && last.ious.defined()) {
      losses.layers.back().values[kIouScore] =
          losses.layers.back().values[kIouScore] +
          LeftoverIou(last, targets, dice, losses.matched) * options_.leftover_iou;
    }
    return losses;
  });
}

absl::StatusOr<ImageLosses> Criterion::QueryLosses(absl::Span<const LayerPredictions> layers,
                                                   const ImageTargets& targets,
                                                   UniformSource& random) const {
  return CatchTorch([&]() -> absl::StatusOr<ImageLosses> {
    ImageLosses losses;
    losses.layers.resize(layers.size());
    const Truth truth = Prepare(targets, layers);
    for (const size_t i : DrawOrder(layers.size())) {
      const LayerPredictions& layer = layers[i];
      Pairs pairs;
      if (targets.size() > 0) {
        at::Tensor cost = Costs(layer, truth, random).Total(options_.matcher);
        if (layer.object_logits.defined() && layer.object_logits.size(1) > 0) {
          cost = cost + options_.matcher.label * LabelCosts(layer.object_logits, targets.objects,
                                                            options_.focal.alpha,
                                                            options_.focal.gamma);
        }
        SEMSAM_ASSIGN_OR_RETURN(pairs, MatchQueries(cost));
      }
      const Rows rows = RowsOf(pairs, targets, /*prompts=*/false, layer.boxes);
      const bool words = layer.object_logits.defined() || layer.part_logits.defined();
      const at::Tensor rest = words ? KnownShare(layer.masks, targets.unknown) : at::Tensor();
      losses.layers[i] = OfPairs(layer, truth, pairs, rows, rest, random);
      if (i + 1 == layers.size()) losses.matched = std::move(pairs);
    }
    losses.pairs = losses.matched.size();
    return losses;
  });
}

absl::StatusOr<ImageLosses> Criterion::DenoisingLosses(absl::Span<const LayerPredictions> layers,
                                                       const ImageTargets& targets,
                                                       const Pairs& pairs,
                                                       UniformSource& random) const {
  return CatchTorch([&]() -> absl::StatusOr<ImageLosses> {
    ImageLosses losses = {
        .layers = std::vector<LossTerms>(layers.size()), .pairs = pairs.size(), .matched = pairs};
    if (layers.empty()) return losses;
    Rows rows = RowsOf(pairs, targets, /*prompts=*/false, layers.back().boxes);
    rows.factors = rows.factors * options_.denoising;
    const Truth truth = Prepare(targets, layers);
    for (const size_t i : DrawOrder(layers.size())) {
      losses.layers[i] = OfPairs(layers[i], truth, pairs, rows, /*rest=*/{}, random);
    }
    return losses;
  });
}

at::Tensor Criterion::Total(absl::Span<const ImageLosses> images, double pairs) const {
  const LossWeights& weights = options_.weights;
  const std::array<double, LossTerms::kCount> factors = {
      weights.mask_bce, weights.mask_dice, weights.iou_score, weights.box_l1,
      weights.box_giou, weights.object,    weights.part};
  at::Tensor total;
  for (const ImageLosses& image : images) {
    for (const LossTerms& terms : image.layers) {
      for (int i = 0; i < LossTerms::kCount; ++i) {
        const at::Tensor part = terms.values[i] * factors[i];
        total = total.defined() ? total + part : part;
      }
    }
  }
  return (total.defined() ? total : at::zeros({})) / std::max(pairs, 1.0);
}

}  // namespace semsam
