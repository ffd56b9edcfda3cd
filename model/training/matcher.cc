#include "model/training/matcher.h"

#include <c10/core/GradMode.h>

#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/evaluation/hungarian.h"
#include "model/torch/catch.h"
#include "model/training/boxes.h"
#include "model/training/points.h"

namespace semsam {
namespace {

struct CostTable {
  at::Tensor values;  // [Q, G] double on the CPU
  int64_t queries = 0;
  int64_t targets = 0;

  double at(int64_t query, int64_t target) const {
    return values.const_data_ptr<double>()[query * targets + target];
  }
};

absl::StatusOr<CostTable> ReadCosts(const at::Tensor& cost) {
  return CatchTorch([&]() -> CostTable {
    return {.values = cost.detach().to(at::kCPU, at::kDouble).contiguous(),
            .queries = cost.size(0),
            .targets = cost.size(1)};
  });
}

}  // namespace

absl::Status Validate(const MatcherOptions& options) {
  const std::pair<const char*, double> weights[] = {{"mask_bce", options.mask_bce},
                                                    {"mask_dice", options.mask_dice},
                                                    {"box_l1", options.box_l1},
                                                    {"box_giou", options.box_giou},
                                                    {"label", options.label}};
  for (const auto& [name, weight] : weights) {
    if (!(weight >= 0) || std::isinf(weight)) return InvalidField(name, "must be 0 or more");
  }
  if (options.points < 1) return InvalidField("points", "must be at least 1");
  return absl::OkStatus();
}

at::Tensor CostParts::Total(const MatcherOptions& weights) const {
  return weights.mask_bce * mask_bce + weights.mask_dice * mask_dice + weights.box_l1 * box_l1 -
         weights.box_giou * box_giou;
}

CostParts PairCosts(const LayerPredictions& predictions, const ImageTargets& targets,
                    const at::Tensor& points) {
  const c10::NoGradGuard no_grad;
  const at::Tensor rows = at::arange(targets.size(), targets.masks.options().dtype(at::kLong));
  return PairCosts(predictions, targets, SampleLogitsAt(predictions.masks, points),
                   SampleMasksAt(targets.masks, rows, points));
}

CostParts PairCosts(const LayerPredictions& predictions, const ImageTargets& targets,
                    const at::Tensor& mask_logits, const at::Tensor& truth) {
  const c10::NoGradGuard no_grad;
  const at::Tensor logits = mask_logits.to(at::kFloat);
  const int64_t count = logits.size(1);
  const at::Tensor known = targets.has_mask.to(at::kFloat).unsqueeze(0);

  // softplus(-x) t + softplus(x) (1 - t) = softplus(x) - x t
  const at::Tensor softplus = at::softplus(logits).sum(1, /*keepdim=*/true);
  const at::Tensor bce = (softplus - at::matmul(logits, truth.t())) / count;
  const at::Tensor inside = logits.sigmoid();
  const at::Tensor shared = at::matmul(inside, truth.t());
  const at::Tensor total = inside.sum(1, /*keepdim=*/true) + truth.sum(1).unsqueeze(0);
  const at::Tensor dice = 1 - (2 * shared + 1) / (total + 1);

  const at::Tensor boxes = predictions.boxes.to(at::kFloat).unsqueeze(1);
  const at::Tensor true_boxes = targets.boxes.unsqueeze(0);
  return {.mask_bce = bce * known,
          .mask_dice = dice * known,
          .box_l1 = (boxes - true_boxes).abs().sum(-1),
          .box_giou = GeneralisedIou(boxes, true_boxes)};
}

at::Tensor LabelCosts(const at::Tensor& logits, const LabelTargets& targets, double alpha,
                      double gamma) {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = logits.to(at::kFloat);
  const at::Tensor p = x.sigmoid();
  const at::Tensor with = alpha * (1 - p).pow(gamma) * at::softplus(-x);
  const at::Tensor without = (1 - alpha) * p.pow(gamma) * at::softplus(x);
  const at::Tensor labels = at::tensor(targets.labels, at::kLong).to(x.device());
  const at::Tensor known = (labels >= 0).to(at::kFloat).unsqueeze(0);
  return (with - without).index_select(1, labels.clamp_min(0)) * known;
}

absl::StatusOr<Pairs> MatchPrompts(const at::Tensor& cost, absl::Span<const PromptTarget> prompts) {
  Pairs pairs;
  if (prompts.empty()) return pairs;
  SEMSAM_ASSIGN_OR_RETURN(const CostTable table, ReadCosts(cost));
  const int64_t tokens = table.queries / static_cast<int64_t>(prompts.size());
  if (tokens * static_cast<int64_t>(prompts.size()) != table.queries) {
    return absl::InvalidArgumentError(
        absl::StrCat(table.queries, " queries cannot be those of ", prompts.size(), " prompts"));
  }
  // Pairs of different prompts never meet: one small problem a prompt gives the same
  // as one large with forbidden pairs.
  for (size_t prompt = 0; prompt < prompts.size(); ++prompt) {
    const std::vector<int64_t>& targets = prompts[prompt].targets;
    const int64_t first = static_cast<int64_t>(prompt) * tokens;
    std::vector<double> block;
    block.reserve(tokens * targets.size());
    for (int64_t token = 0; token < tokens; ++token) {
      for (const int64_t target : targets) {
        if (target < 0 || target >= table.targets) {
          return absl::InvalidArgumentError(
              absl::StrCat("prompt ", prompt, " has target ", target, " of ", table.targets));
        }
        block.push_back(table.at(first + token, target));
      }
    }
    SEMSAM_ASSIGN_OR_RETURN(
        const std::vector<int> columns,
        SolveAssignment(block, static_cast<int>(tokens), static_cast<int>(targets.size())));
    for (int64_t token = 0; token < tokens; ++token) {
      if (columns[token] < 0) continue;
      pairs.queries.push_back(first + token);
      pairs.targets.push_back(targets[columns[token]]);
    }
  }
  return pairs;
}

absl::StatusOr<Pairs> MatchQueries(const at::Tensor& cost) {
  SEMSAM_ASSIGN_OR_RETURN(const CostTable table, ReadCosts(cost));
  const std::span<const double> values(table.values.const_data_ptr<double>(),
                                       static_cast<size_t>(table.values.numel()));
  SEMSAM_ASSIGN_OR_RETURN(
      const std::vector<int> columns,
      SolveAssignment(values, static_cast<int>(table.queries), static_cast<int>(table.targets)));
  Pairs pairs;
  for (int64_t query = 0; query < table.queries; ++query) {
    if (columns[query] < 0) continue;
    pairs.queries.push_back(query);
    pairs.targets.push_back(columns[query]);
  }
  return pairs;
}

}  // namespace semsam
