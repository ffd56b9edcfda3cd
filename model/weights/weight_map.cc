#include "model/weights/weight_map.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/status_macros.h"
#include "model/weights/formula.h"
#include "model/weights/shown_name.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

constexpr size_t kMaxNamed = 20;
constexpr std::string_view kLeftovers[] = {"criterion", "pixel_mean", "pixel_std"};
// Of no use to a configuration without words.
constexpr std::string_view kWords[] = {"sem_seg_head.predictor.lang_encoder.",
                                       "sem_seg_head.predictor.enc_output",
                                       "sem_seg_head.predictor.query_"};

using Names = std::vector<std::string>;

struct Problems {
  Names missing;
  Names unknown;
  Names shape;
  Names type;
  Names conflict;
};

bool StartsWithAny(std::string_view name, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
    return name.substr(0, prefix.size()) == prefix;
  });
}

void Describe(const char* what, const Names& names, Names& parts) {
  if (names.empty()) return;
  const size_t shown = std::min(names.size(), kMaxNamed);
  std::string part = absl::StrCat(names.size(), " ", what, ": ",
                                  absl::StrJoin(names.begin(), names.begin() + shown, ", "));
  if (shown < names.size()) absl::StrAppend(&part, ", and ", names.size() - shown, " more");
  parts.push_back(std::move(part));
}

absl::Status ToStatus(const ModelConfig& config, const Problems& problems) {
  Names parts;
  Describe("missing", problems.missing, parts);
  Describe("unknown", problems.unknown, parts);
  Describe("of another shape", problems.shape, parts);
  Describe("of another type", problems.type, parts);
  Describe("in conflict", problems.conflict, parts);
  if (parts.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the weights do not fit ", config.name, "; ", absl::StrJoin(parts, "; ")));
}

// True when both hold the same numbers, bit for bit where the types agree.
absl::StatusOr<bool> SameValues(const TensorView& a, const TensorView& b) {
  if (a.dtype == b.dtype) {
    if (a.data.data() == b.data.data() && IsContiguous(a) && IsContiguous(b)) return true;
    std::vector<std::byte> left(static_cast<size_t>(SizeBytes(a)));
    std::vector<std::byte> right(left.size());
    SEMSAM_RETURN_IF_ERROR(CopyContiguous(a, left));
    SEMSAM_RETURN_IF_ERROR(CopyContiguous(b, right));
    return left == right;
  }
  std::vector<float> left(static_cast<size_t>(Elements(a)));
  std::vector<float> right(left.size());
  SEMSAM_RETURN_IF_ERROR(CopyToFloat32(a, left));
  SEMSAM_RETURN_IF_ERROR(CopyToFloat32(b, right));
  return left == right;
}

absl::StatusOr<bool> IsRelativePositionIndex(const TensorView& tensor) {
  const int window = static_cast<int>(std::lround(std::sqrt(tensor.shape[0])));
  const std::vector<int64_t> expected = RelativePositionIndex(window);
  std::vector<float> values(static_cast<size_t>(Elements(tensor)));
  // Exact: an index is far below 2^24.
  SEMSAM_RETURN_IF_ERROR(CopyToFloat32(tensor, values));
  return std::equal(values.begin(), values.end(), expected.begin(), expected.end(),
                    [](float a, int64_t b) { return a == static_cast<float>(b); });
}

// Sorts what a file holds into what the network needs and what is wrong.
class Resolver {
 public:
  explicit Resolver(std::vector<TensorView> tensors) {
    for (TensorView& tensor : tensors) {
      std::string name = tensor.name;
      if (!given_.emplace(name, std::move(tensor)).second) {
        problems_.conflict.push_back(ShownName(name) + " (appears twice)");
      }
    }
  }

  absl::Status Take(const WeightSpec& spec) {
    wanted_.emplace(spec.seed_name, &spec);
    const auto node = given_.extract(spec.name);
    if (node.empty()) return absl::OkStatus();
    TensorView& tensor = node.mapped();
    SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
    if (tensor.shape != spec.shape) {
      problems_.shape.push_back(absl::StrCat(spec.name, " is ", ShapeText(tensor.shape), ", not ",
                                             ShapeText(spec.shape)));
      unfit_.insert(spec.seed_name);
      return absl::OkStatus();
    }
    if (spec.kind == kComputedKind) return TakeComputed(tensor);
    if (!IsFloat(tensor.dtype)) {
      problems_.type.push_back(absl::StrCat(spec.name, " is ", DTypeName(tensor.dtype)));
      unfit_.insert(spec.seed_name);
      return absl::OkStatus();
    }
    tensor.name = spec.seed_name;
    const auto [it, inserted] = found_.emplace(spec.seed_name, tensor);
    if (inserted) return absl::OkStatus();
    SEMSAM_ASSIGN_OR_RETURN(const bool same, SameValues(it->second, tensor));
    if (!same) {
      problems_.conflict.push_back(
          absl::StrCat(spec.name, " and ", spec.seed_name, " are one tensor with two values"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<WeightMap> Finish(const ModelConfig& config) {
    for (const auto& [name, spec] : wanted_) {
      if (!spec->optional && found_.count(name) == 0 && unfit_.count(name) == 0) {
        problems_.missing.push_back(name);
      }
    }
    for (auto& [name, tensor] : given_) {
      if (StartsWithAny(name, kLeftovers)) continue;
      if (!config.text && StartsWithAny(name, kWords)) continue;
      problems_.unknown.push_back(ShownName(name));
    }
    SEMSAM_RETURN_IF_ERROR(ToStatus(config, problems_));
    return WeightMap(std::move(found_));
  }

 private:
  absl::Status TakeComputed(const TensorView& tensor) {
    SEMSAM_ASSIGN_OR_RETURN(const bool same, IsRelativePositionIndex(tensor));
    if (!same) {
      problems_.conflict.push_back(
          absl::StrCat(tensor.name, " is not the index of its window size"));
    }
    return absl::OkStatus();
  }

  WeightMap::Tensors given_;
  WeightMap::Tensors found_;
  std::map<std::string, const WeightSpec*> wanted_;  // by canonical name
  std::set<std::string> unfit_;                      // there, but not usable: not missing
  Problems problems_;
};

}  // namespace

const TensorView* WeightMap::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

int64_t WeightMap::parameters() const {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += Elements(tensor);
  return sum;
}

int64_t WeightMap::size_bytes() const {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors_) sum += SizeBytes(tensor);
  return sum;
}

absl::StatusOr<WeightMap> ResolveWeights(const ModelConfig& config,
                                         std::vector<TensorView> tensors) {
  Resolver resolver(std::move(tensors));
  const std::vector<WeightSpec> table = WeightTable(config);
  for (const WeightSpec& spec : table) SEMSAM_RETURN_IF_ERROR(resolver.Take(spec));
  return resolver.Finish(config);
}

}  // namespace semsam
