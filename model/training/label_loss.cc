#include "model/training/label_loss.h"

#include <c10/core/GradMode.h>

#include <vector>

#include "model/training/points.h"

namespace semsam {

LabelExamples MakeLabelExamples(int64_t queries, const LabelTargets& targets, const Pairs& pairs,
                                const at::Tensor& rest) {
  const c10::NoGradGuard no_grad;
  const at::Tensor listed = targets.listed.to(at::kFloat);
  const int64_t words = listed.size(0);
  LabelExamples examples = {.weights = at::zeros({queries, words}, listed.options()),
                            .truth = at::zeros({queries, words}, listed.options())};
  if (rest.defined()) {
    examples.weights.copy_(rest.unsqueeze(1) * targets.absent.to(at::kFloat).unsqueeze(0));
  }
  // Gathered first: one operation for all pairs, not some for each.
  std::vector<int64_t> known, unknown, named;  // `named`: positions in [Q, C]
  for (int64_t i = 0; i < pairs.size(); ++i) {
    const int64_t query = pairs.queries[i], target = pairs.targets[i];
    TORCH_CHECK(query >= 0 && query < queries, "query ", query, " of ", queries);
    TORCH_CHECK(target >= 0 && target < static_cast<int64_t>(targets.labels.size()), "target ",
                target, " has no label");
    const int64_t label = targets.labels[target];
    TORCH_CHECK(label < words, "label ", label, " of ", words, " words");
    (label == kUnknownLabel ? unknown : known).push_back(query);
    if (label < 0) continue;
    named.push_back(query * words + label);
  }
  const auto indices = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kLong).to(listed.device());
  };
  examples.weights.index_fill_(0, indices(unknown), 0);
  examples.weights.index_copy_(0, indices(known),
                               listed.expand({static_cast<int64_t>(known.size()), words}));
  examples.weights.view({-1}).index_fill_(0, indices(named), 1);
  examples.truth.view({-1}).index_fill_(0, indices(named), 1);
  return examples;
}

at::Tensor FocalLoss(const at::Tensor& logits, const LabelExamples& examples,
                     const FocalOptions& options) {
  const at::Tensor x = FullPrecision(logits);
  const at::Tensor& t = examples.truth;
  const at::Tensor p = x.sigmoid();
  const at::Tensor missed = p * (1 - t) + (1 - p) * t;
  const at::Tensor entropy = at::softplus(x) - x * t;
  const at::Tensor balance = options.alpha * t + (1 - options.alpha) * (1 - t);
  return (examples.weights * balance * entropy * missed.pow(options.gamma)).sum();
}

at::Tensor KnownShare(const at::Tensor& masks, const at::Tensor& unknown) {
  const c10::NoGradGuard no_grad;
  const at::Tensor inside = (masks > 0).to(at::kFloat).flatten(1);  // [Q, h w]
  if (!unknown.defined()) return at::ones({masks.size(0)}, inside.options());
  const at::Tensor share =
      at::adaptive_avg_pool2d(unknown.to(at::kFloat).unsqueeze(0), {masks.size(1), masks.size(2)})
          .flatten();
  return 1 - at::matmul(inside, share) / inside.sum(1).clamp_min(1);
}

}  // namespace semsam
