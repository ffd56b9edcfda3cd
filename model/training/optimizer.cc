#include "model/training/optimizer.h"

#include <c10/core/GradMode.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

using torch::optim::AdamWOptions;
using torch::optim::AdamWParamState;

// Kinds of the weight table that do not decay; biases of norms are found by the name
// of the norm.
constexpr std::array<std::string_view, 5> kNoDecay = {"norm", "embed", "relpos", "mask_tokens",
                                                      "text_tokens"};
// Published guard of the clipping factor.
constexpr double kClipEpsilon = 1e-6;

std::string WithoutSuffix(const std::string& name, std::string_view suffix) {
  return absl::EndsWith(name, absl::string_view(suffix.data(), suffix.size()))
             ? name.substr(0, name.size() - suffix.size())
             : "";
}

bool IsUnit(double value) { return value >= 0 && value < 1; }

double GradientNorm(const NamedTensors& parameters) {
  std::vector<at::Tensor> norms;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined()) norms.push_back(at::linalg_vector_norm(parameter.grad(), 2));
  }
  if (norms.empty()) return 0;
  return at::linalg_vector_norm(at::stack(norms), 2).item<double>();
}

}  // namespace

absl::Status Validate(const ScheduleOptions& options) {
  if (options.total_steps < 1) return InvalidField("total_steps", "must be at least 1");
  for (const double fraction : options.decay_at) {
    if (!(fraction >= 0 && fraction <= 1)) return InvalidField("decay_at", "must lie in 0 to 1");
  }
  if (!(options.decay > 0 && options.decay <= 1)) {
    return InvalidField("decay", "must lie in 0 to 1, without 0");
  }
  if (options.warmup_steps < 0) return InvalidField("warmup_steps", "must be 0 or more");
  if (!(options.warmup_start >= 0 && options.warmup_start <= 1)) {
    return InvalidField("warmup_start", "must lie in 0 to 1");
  }
  return absl::OkStatus();
}

double LearningRateFactor(const ScheduleOptions& options, int64_t step) {
  double factor = 1;
  if (step < options.warmup_steps) {
    const double share = static_cast<double>(step) / static_cast<double>(options.warmup_steps);
    factor = options.warmup_start + (1 - options.warmup_start) * share;
  }
  for (const double fraction : options.decay_at) {
    // Rounded first: 0.95 * 100 is a little less than 95.
    const int64_t from = std::llround(fraction * static_cast<double>(options.total_steps));
    if (step >= from) factor *= options.decay;
  }
  return factor;
}

absl::Status Validate(const OptimizerOptions& options) {
  const std::pair<const char*, double> amounts[] = {{"learning_rate", options.learning_rate},
                                                    {"backbone_factor", options.backbone_factor},
                                                    {"weight_decay", options.weight_decay},
                                                    {"clip_norm", options.clip_norm}};
  for (const auto& [name, amount] : amounts) {
    if (!(amount >= 0) || std::isinf(amount)) return InvalidField(name, "must be 0 or more");
  }
  if (!IsUnit(options.beta1)) return InvalidField("beta1", "must lie in 0 to 1, without 1");
  if (!IsUnit(options.beta2)) return InvalidField("beta2", "must lie in 0 to 1, without 1");
  if (!(options.epsilon > 0)) return InvalidField("epsilon", "must be above 0");
  if (!IsUnit(options.average_decay)) {
    return InvalidField("average_decay", "must lie in 0 to 1, without 1");
  }
  return PrependField(Validate(options.schedule), "schedule");
}

std::map<std::string, ParameterTraits> TrainableParameters(const ModelConfig& config) {
  const std::vector<WeightSpec> table = WeightTable(config);
  std::set<std::string> norms;
  for (const WeightSpec& spec : table) {
    if (spec.kind == "norm") norms.insert(WithoutSuffix(spec.name, ".weight"));
  }
  norms.erase("");
  std::map<std::string, ParameterTraits> parameters;
  for (const WeightSpec& spec : table) {
    if (spec.is_alias() || spec.kind == kComputedKind) continue;
    const bool decays = std::find(kNoDecay.begin(), kNoDecay.end(), spec.kind) == kNoDecay.end() &&
                        !norms.contains(WithoutSuffix(spec.name, ".bias"));
    parameters.emplace(
        spec.name,
        ParameterTraits{.backbone = absl::StartsWith(spec.name, "backbone."), .decays = decays});
  }
  return parameters;
}

struct Optimizer::Adam {
  // Groups: backbone and the rest, each with and without weight decay.
  explicit Adam(const std::vector<torch::optim::OptimizerParamGroup>& groups) : adam(groups) {}

  AdamWParamState* Find(const at::Tensor& parameter) {
    const auto it = adam.state().find(parameter.unsafeGetTensorImpl());
    return it == adam.state().end() ? nullptr : static_cast<AdamWParamState*>(it->second.get());
  }

  torch::optim::AdamW adam;
  std::vector<double> factors;  // on the learning rate, of each group
};

Optimizer::Optimizer(NamedTensors parameters, const OptimizerOptions& options,
                     std::unique_ptr<Adam> adam)
    : options_(options), parameters_(std::move(parameters)), adam_(std::move(adam)) {
  for (const auto& [name, parameter] : parameters_) {
    averages_.emplace(name, parameter.detach().clone());
  }
}

Optimizer::~Optimizer() = default;

absl::StatusOr<std::unique_ptr<Optimizer>> Optimizer::Create(const ModelConfig& config,
                                                             NamedTensors parameters,
                                                             const OptimizerOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  if (parameters.empty()) return absl::InvalidArgumentError("there is nothing to train");
  const std::map<std::string, ParameterTraits> known = TrainableParameters(config);
  std::map<std::pair<bool, bool>, std::vector<at::Tensor>> members;
  for (const auto& [name, parameter] : parameters) {
    const auto it = known.find(name);
    if (it == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is no parameter of the model"));
    }
    if (!parameter.requires_grad() || !parameter.is_leaf() ||
        parameter.scalar_type() != at::kFloat) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " is no float32 leaf that requires a gradient"));
    }
    members[{it->second.backbone, it->second.decays}].push_back(parameter);
  }
  return CatchTorch([&]() -> std::unique_ptr<Optimizer> {
    std::vector<torch::optim::OptimizerParamGroup> groups;
    std::vector<double> factors;
    for (const auto& [traits, tensors] : members) {
      const auto& [backbone, decays] = traits;
      auto group = std::make_unique<AdamWOptions>(options.learning_rate);
      group->betas({options.beta1, options.beta2}).eps(options.epsilon);
      group->weight_decay(decays ? options.weight_decay : 0);
      groups.emplace_back(tensors, std::move(group));
      factors.push_back(backbone ? options.backbone_factor : 1);
    }
    auto adam = std::make_unique<Adam>(groups);
    adam->factors = std::move(factors);
    return std::unique_ptr<Optimizer>(
        new Optimizer(std::move(parameters), options, std::move(adam)));
  });
}

absl::StatusOr<StepReport> Optimizer::Step() {
  return CatchTorch([&]() -> StepReport {
    const c10::NoGradGuard no_grad;
    StepReport report = {
        .gradient_norm = GradientNorm(parameters_),
        .learning_rate = options_.learning_rate * LearningRateFactor(options_.schedule, steps_)};
    report.applied = std::isfinite(report.gradient_norm);
    if (report.applied) {
      const double factor = options_.clip_norm / (report.gradient_norm + kClipEpsilon);
      if (options_.clip_norm > 0 && factor < 1) {
        for (const auto& [name, parameter] : parameters_) {
          if (parameter.grad().defined()) parameter.mutable_grad().mul_(factor);
        }
      }
      for (size_t i = 0; i < adam_->factors.size(); ++i) {
        adam_->adam.param_groups()[i].options().set_lr(report.learning_rate * adam_->factors[i]);
      }
      adam_->adam.step();
      for (auto& [name, average] : averages_) {
        average.lerp_(parameters_.at(name), 1 - options_.average_decay);
      }
    }
    adam_->adam.zero_grad(/*set_to_none=*/true);
    ++steps_;
    return report;
  });
}

NamedTensors Optimizer::State() const {
  NamedTensors state;
  for (const auto& [name, parameter] : parameters_) {
    state["parameter/" + name] = parameter.detach();
    state[kAveragePrefix + name] = averages_.at(name);
    // Absent until the parameter's first gradient.
    const AdamWParamState* moments = adam_->Find(parameter);
    if (moments == nullptr) continue;
    state["first_moment/" + name] = moments->exp_avg();
    state["second_moment/" + name] = moments->exp_avg_sq();
    state["updates/" + name] = at::scalar_tensor(moments->step(), at::kLong);
  }
  return state;
}

absl::Status Optimizer::CheckState(const NamedTensors& state) const {
  const auto wrong = [](const std::string& name, absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint: ", name, " ", what));
  };
  size_t found = 0;
  for (const auto& [name, parameter] : parameters_) {
    const bool moved = state.contains("updates/" + name);
    for (const char* kind : {"parameter/", kAveragePrefix, "first_moment/", "second_moment/"}) {
      const bool needed = moved || kind[0] == 'p' || kind[0] == 'a';
      const auto it = state.find(kind + name);
      if (it == state.end()) {
        if (needed) return wrong(kind + name, "is missing");
        continue;
      }
      if (!needed) return wrong(kind + name, "has no number of updates");
      if (it->second.sizes() != parameter.sizes() || it->second.scalar_type() != at::kFloat) {
        return wrong(kind + name, "is of another shape or type");
      }
      ++found;
    }
    if (!moved) continue;
    const at::Tensor& updates = state.at("updates/" + name);
    if (updates.numel() != 1 || updates.scalar_type() != at::kLong || updates.item<int64_t>() < 1) {
      return wrong("updates/" + name, "is no number of updates");
    }
    ++found;
  }
  if (found == state.size()) return absl::OkStatus();
  for (const auto& [key, tensor] : state) {
    const size_t slash = key.find('/');
    if (slash == std::string::npos || !parameters_.contains(key.substr(slash + 1))) {
      return wrong(key, "belongs to no parameter that is trained");
    }
  }
  return absl::InvalidArgumentError("checkpoint: it holds tensors of an unknown kind");
}

absl::Status Optimizer::Restore(const NamedTensors& state, int64_t steps) {
  if (steps < 0) return absl::InvalidArgumentError("checkpoint: a negative number of steps");
  return CatchTorch([&]() -> absl::Status {
    SEMSAM_RETURN_IF_ERROR(CheckState(state));
    const c10::NoGradGuard no_grad;
    adam_->adam.state().clear();
    for (const auto& [name, parameter] : parameters_) {
      const at::Tensor value = parameter;
      value.copy_(state.at("parameter/" + name));
      averages_.at(name).copy_(state.at(kAveragePrefix + name));
      const auto updates = state.find("updates/" + name);
      if (updates == state.end()) continue;
      auto moments = std::make_unique<AdamWParamState>();
      moments->step(updates->second.item<int64_t>());
      moments->exp_avg(at::empty_like(value).copy_(state.at("first_moment/" + name)));
      moments->exp_avg_sq(at::empty_like(value).copy_(state.at("second_moment/" + name)));
      adam_->adam.state()[parameter.unsafeGetTensorImpl()] = std::move(moments);
    }
    adam_->adam.zero_grad(/*set_to_none=*/true);
    steps_ = steps;
    return absl::OkStatus();
  });
}

}  // namespace semsam
