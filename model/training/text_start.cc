#include "model/training/text_start.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/training/uniform.h"
#include "model/weights/formula.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

constexpr char kText[] = "sem_seg_head.predictor.lang_encoder.";
// Not the encoder's: a temperature of the class heads.
constexpr char kLogitScale[] = "sem_seg_head.predictor.lang_encoder.logit_scale";

constexpr int kSweeps = 30;
constexpr float kDamping = 1;        // as if each piece were in one more name, whose target is 0
constexpr double kTokenScale = 0.1;  // root mean square of a row of the table, an element
constexpr double kNoise = 0.01;      // of positions, and of rows beside what was fitted

// Zero mean, standard deviation 1; uniform, since nothing depends on the shape.
at::Tensor Draw(UniformSource& random, at::IntArrayRef shape) {
  return (random.Draw(shape) - 0.5) * std::sqrt(12.0);
}

// Standard deviation of a matrix of the transformer, by its name.
double ScaleOf(const std::string& name, const TextConfig& text) {
  const double width = text.width;
  if (absl::EndsWith(name, ".attn.out_proj.weight") || absl::EndsWith(name, ".mlp.c_proj.weight")) {
    return 1 / std::sqrt(width * 2 * text.layers);  // 2 * layers of them add up
  }
  if (absl::EndsWith(name, ".mlp.c_fc.weight")) return 1 / std::sqrt(2 * width);
  if (absl::EndsWith(name, ".positional_embedding")) return kNoise;
  if (absl::EndsWith(name, ".token_projection")) return 1 / std::sqrt(double(text.token_rank));
  return 1 / std::sqrt(width);
}

at::Tensor StartTokens(const WeightSpec& spec, absl::Span<const std::vector<int32_t>> pieces,
                       const at::Tensor& targets, UniformSource& random) {
  const int64_t fitted = std::min(spec.shape[1], targets.size(1));
  at::Tensor rows = Draw(random, spec.shape) * kNoise;
  const at::Tensor known = FitPieceRows(pieces, targets, spec.shape[0], fitted);
  const double scale = std::sqrt(known.square().sum().item<double>() /
                                 std::max<int64_t>(1, known.count_nonzero().item<int64_t>()));
  if (scale > 0) rows.slice(1, 0, fitted).add_(known, kTokenScale / scale);
  return rows;
}

}  // namespace

std::vector<std::string> TextWeightNames(const ModelConfig& config) {
  std::vector<std::string> names;
  for (const WeightSpec& spec : WeightTable(config)) {
    if (absl::StartsWith(spec.name, kText) && spec.name != kLogitScale) names.push_back(spec.name);
  }
  return names;
}

at::Tensor FitPieceRows(absl::Span<const std::vector<int32_t>> pieces, const at::Tensor& targets,
                        int64_t vocabulary, int64_t columns) {
  const at::Tensor wanted = targets.slice(1, 0, columns).contiguous();
  const float* target = wanted.const_data_ptr<float>();
  at::Tensor rows = at::zeros({vocabulary, columns}, at::kFloat);
  at::Tensor change = at::zeros_like(rows);
  std::vector<float> weights(vocabulary, kDamping);  // what a piece counts in all names
  for (const std::vector<int32_t>& ids : pieces) {
    for (const int32_t id : ids) weights[id] += 1 / static_cast<float>(ids.size());
  }
  float* row = rows.mutable_data_ptr<float>();
  float* step = change.mutable_data_ptr<float>();
  std::vector<float> missing(columns);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    change.zero_();
    for (size_t name = 0; name < pieces.size(); ++name) {
      const float share = 1 / static_cast<float>(pieces[name].size());
      std::copy_n(target + name * columns, columns, missing.begin());
      for (const int32_t id : pieces[name]) {
        for (int64_t c = 0; c < columns; ++c) missing[c] -= share * row[id * columns + c];
      }
      for (const int32_t id : pieces[name]) {
        for (int64_t c = 0; c < columns; ++c) step[id * columns + c] += share * missing[c];
      }
    }
    for (int64_t id = 0; id < vocabulary; ++id) {
      for (int64_t c = 0; c < columns; ++c) {
        float& value = row[id * columns + c];
        value += (step[id * columns + c] - kDamping * value) / weights[id];
      }
    }
  }
  return rows;
}

NamedTensors StartText(const ModelConfig& config, absl::Span<const std::vector<int32_t>> pieces,
                       const at::Tensor& targets, uint64_t seed) {
  NamedTensors weights;
  for (const WeightSpec& spec : WeightTable(config)) {
    if (!absl::StartsWith(spec.name, kText) || spec.name == kLogitScale) continue;
    // One stream a tensor: a change of one leaves the others as they are.
    SeededUniform random(seed ^ Fnv1a64(spec.name));
    if (spec.kind == "norm") {
      weights[spec.name] = at::ones(spec.shape);
    } else if (absl::EndsWith(spec.name, "bias")) {
      weights[spec.name] = at::zeros(spec.shape);
    } else if (spec.kind == "text_tokens") {
      weights[spec.name] = StartTokens(spec, pieces, targets, random);
    } else {
      weights[spec.name] = Draw(random, spec.shape) * ScaleOf(spec.name, *config.text);
    }
  }
  return weights;
}

}  // namespace semsam
