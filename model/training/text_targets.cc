#include "model/training/text_targets.h"

#include <cmath>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"
#include "model/weights/mapped_file.h"
#include "model/weights/safetensors.h"

namespace semsam {
namespace {

constexpr char kTexts[] = "texts";
constexpr char kRows[] = "targets";
constexpr char kHeldOut[] = "held_out";
// Half precision rounds a norm by less; anything beyond is no unit row.
constexpr double kNormTolerance = 0.01;

absl::Status Wrong(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::StatusOr<TensorView> Find(const SafetensorsFile& file, absl::string_view name, size_t rank) {
  for (const TensorView& tensor : file.tensors) {
    if (name != absl::string_view(tensor.name)) continue;
    if (tensor.shape.size() == rank) return tensor;
    return Wrong(name, absl::StrCat("has the shape ", ShapeText(tensor.shape)));
  }
  return Wrong(name, "is missing");
}

absl::StatusOr<std::vector<uint8_t>> ReadBytes(const SafetensorsFile& file,
                                               absl::string_view name) {
  SEMSAM_ASSIGN_OR_RETURN(const TensorView view, Find(file, name, 1));
  if (view.dtype != DType::kUInt8) return Wrong(name, "must be uint8");
  std::vector<uint8_t> bytes(Elements(view));
  SEMSAM_RETURN_IF_ERROR(CopyContiguous(view, std::as_writable_bytes(std::span(bytes))));
  return bytes;
}

absl::StatusOr<std::vector<std::string>> ReadTexts(const SafetensorsFile& file) {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, ReadBytes(file, kTexts));
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (rest.empty() || rest.back() != '\n') return Wrong(kTexts, "must end with a line");
  std::vector<std::string> texts;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    if (end == 0) return Wrong(kTexts, absl::StrCat("line ", texts.size() + 1, " is empty"));
    texts.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return texts;
}

absl::StatusOr<at::Tensor> ReadRows(const SafetensorsFile& file) {
  SEMSAM_ASSIGN_OR_RETURN(const TensorView view, Find(file, kRows, 2));
  if (!IsFloat(view.dtype)) return Wrong(kRows, "must be of a float type");
  at::Tensor rows = at::empty(view.shape, at::kFloat);
  SEMSAM_RETURN_IF_ERROR(
      CopyToFloat32(view, {rows.mutable_data_ptr<float>(), static_cast<size_t>(rows.numel())}));
  const at::Tensor norms = at::linalg_vector_norm(rows, 2, {1}, /*keepdim=*/true);
  // Written so that a NaN is wrong too.
  const at::Tensor unit = (norms - 1).abs() <= kNormTolerance;
  const at::Tensor wrong = unit.logical_not().nonzero();
  if (wrong.numel() > 0) {
    return Wrong(kRows, absl::StrCat("row ", wrong[0][0].item<int64_t>(), " is not of norm 1"));
  }
  return rows / norms;
}

absl::StatusOr<TextTargets> Parse(std::span<const std::byte> bytes) {
  SEMSAM_ASSIGN_OR_RETURN(const SafetensorsFile file, ParseSafetensors(bytes));
  TextTargets targets;
  SEMSAM_ASSIGN_OR_RETURN(targets.texts, ReadTexts(file));
  SEMSAM_ASSIGN_OR_RETURN(targets.rows, ReadRows(file));
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<uint8_t> held_out, ReadBytes(file, kHeldOut));
  targets.held_out.assign(held_out.begin(), held_out.end());
  const size_t names = targets.texts.size();
  if (targets.rows.size(0) != static_cast<int64_t>(names) || held_out.size() != names) {
    return absl::InvalidArgumentError(absl::StrCat(names, " names, ", targets.rows.size(0),
                                                   " rows and ", held_out.size(),
                                                   " marks do not belong together"));
  }
  return targets;
}

}  // namespace

absl::StatusOr<TextTargets> ReadTextTargets(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  absl::StatusOr<TextTargets> targets = CatchTorch([&] { return Parse(file->bytes()); });
  if (!targets.ok()) return Annotate(targets.status(), path);
  return targets;
}

}  // namespace semsam
