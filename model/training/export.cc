#include "model/training/export.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/training/checkpoint.h"
#include "model/training/recipe.h"
#include "model/training/weights_io.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

// The weights of the whole network, each averaged or frozen.
absl::StatusOr<NamedTensors> ResultWeights(const ModelConfig& model, const NamedTensors& tensors) {
  NamedTensors weights;
  for (const WeightSpec& spec : WeightTable(model)) {
    if (spec.is_alias() || spec.kind == kComputedKind) continue;
    auto found = tensors.find(kAveragePrefix + spec.name);
    if (found == tensors.end()) found = tensors.find(kFrozenPrefix + spec.name);
    if (found == tensors.end()) {
      return absl::InvalidArgumentError(absl::StrCat("it has no weights ", spec.name));
    }
    if (found->second.sizes() != at::IntArrayRef(spec.shape)) {
      return absl::InvalidArgumentError(absl::StrCat(found->first, " is not of this model"));
    }
    weights[spec.name] = found->second;
  }
  return weights;
}

struct Result {
  Recipe recipe;
  NamedTensors weights;
  int64_t steps = 0;
};

absl::StatusOr<Result> Read(const Checkpoint& checkpoint) {
  Result result;
  const auto steps = checkpoint.counters.find("steps");
  if (steps == checkpoint.counters.end()) {
    return absl::InvalidArgumentError("it counts no steps of a training");
  }
  result.steps = steps->second;
  SEMSAM_ASSIGN_OR_RETURN(result.recipe, ParseRecipe(checkpoint.recipe));
  SEMSAM_ASSIGN_OR_RETURN(result.weights, ResultWeights(result.recipe.model, checkpoint.tensors));
  return result;
}

}  // namespace

absl::StatusOr<ExportedModel> ExportCheckpoint(const std::string& checkpoint,
                                               const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const Checkpoint loaded, LoadCheckpoint(checkpoint));
  const absl::StatusOr<Result> result = Read(loaded);
  if (!result.ok()) return Annotate(result.status(), checkpoint);
  SEMSAM_RETURN_IF_ERROR(WriteResult(path, result->recipe, result->weights));
  return ExportedModel{.name = result->recipe.model.name, .steps = result->steps};
}

}  // namespace semsam
