#include "model/image/vocabulary_checks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_tail.h"
#include "model/image/vocabulary_kernels.h"

namespace semsam {
namespace {

// Positions are counted in 32 bits by run lengths and maps.
constexpr int64_t kMaxOutputPixels = int64_t{1} << 30;

// By the bits, in a form that compilers vectorise: all ones in the exponent.
bool AllFinite(absl::Span<const float> values) {
  constexpr uint32_t kExponent = 0x7F800000;
  uint32_t bad = 0;
  for (const float& value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    bad |= (bits & kExponent) == kExponent ? 1u : 0u;
  }
  return bad == 0;
}

bool IsFinite(const CenterBox& box) {
  return std::isfinite(box.cx) && std::isfinite(box.cy) && std::isfinite(box.w) &&
         std::isfinite(box.h);
}

absl::Status Disagree(const char* what) {
  return absl::InternalError(absl::StrCat("vocabulary queries: ", what));
}

}  // namespace

absl::Status ValidateQueries(const VocabularyQueries& queries) {
  SEMSAM_RETURN_IF_ERROR(ValidateGeometry(queries.geometry, queries.grid));
  if (queries.queries < 1) return Disagree("there are none");
  if (queries.classes < 1) return Disagree("there are no classes");
  const auto count = static_cast<size_t>(queries.queries);
  if (queries.class_logits.size() != count * static_cast<size_t>(queries.classes)) {
    return Disagree("the class logits are not [queries, classes]");
  }
  if (queries.mask_logits.size() != count * static_cast<size_t>(queries.grid.area())) {
    return Disagree("the mask logits do not fill the grid");
  }
  if (queries.boxes.size() != count) return Disagree("there is not a box a query");
  if (!AllFinite(queries.mask_logits)) return Disagree("a mask logit is not finite");
  if (!std::all_of(queries.boxes.begin(), queries.boxes.end(), IsFinite)) {
    return Disagree("a box is not finite");
  }
  if (std::any_of(queries.class_logits.begin(), queries.class_logits.end(),
                  [](float logit) { return std::isnan(logit); })) {
    return Disagree("a class logit is not a number");
  }
  return absl::OkStatus();
}

absl::Status ValidateOutput(ImageSize output) {
  if (output.height < 1 || output.width < 1) return InvalidField("output", "must not be empty");
  if (output.area() > kMaxOutputPixels) return InvalidField("output", "has too many pixels");
  return absl::OkStatus();
}

absl::Status ValidateTemperature(float temperature) {
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    return InvalidField("temperature", "must be positive and finite");
  }
  return absl::OkStatus();
}

absl::Status ValidateShare(float value, const char* field) {
  if (!(value >= 0 && value <= 1)) return InvalidField(field, "must lie between 0 and 1");
  return absl::OkStatus();
}

absl::Status CheckCancelled(const std::function<bool()>& cancelled) {
  if (cancelled != nullptr && cancelled()) return absl::CancelledError("cancelled");
  return absl::OkStatus();
}

std::vector<float> ClassProbabilities(const VocabularyQueries& queries, int count) {
  const size_t size = static_cast<size_t>(count) * static_cast<size_t>(queries.classes);
  std::vector<float> probabilities(queries.class_logits.begin(),
                                   queries.class_logits.begin() + static_cast<ptrdiff_t>(size));
  Sigmoid(probabilities);
  return probabilities;
}

void SharpenProbabilities(absl::Span<float> probabilities, float temperature) {
  const float peak = *std::max_element(probabilities.begin(), probabilities.end()) / temperature;
  double sum = 0;
  for (float& value : probabilities) {
    value = std::exp(value / temperature - peak);
    sum += value;
  }
  for (float& value : probabilities) value = static_cast<float>(value / sum);
}

}  // namespace semsam
