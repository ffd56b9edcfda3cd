#include "server/pipeline/request_validation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

std::string PromptPath(size_t index) { return absl::StrCat("prompts[", index, "]"); }

struct NamedNumber {
  const char* field;
  float value;
};

absl::Status CheckFinite(absl::Span<const NamedNumber> numbers) {
  for (const NamedNumber& number : numbers) {
    if (!std::isfinite(number.value)) return InvalidField(number.field, "must be finite");
  }
  return absl::OkStatus();
}

std::array<NamedNumber, 2> Numbers(const UserClick& click) {
  return {{{"click.x", click.x}, {"click.y", click.y}}};
}

std::array<NamedNumber, 4> Numbers(const UserBox& box) {
  return {{{"box.x0", box.x0}, {"box.y0", box.y0}, {"box.x1", box.x1}, {"box.y1", box.y1}}};
}

absl::Status CheckShape(const UserPrompt& prompt, const ModelConfig& config) {
  if (const UserClick* click = std::get_if<UserClick>(&prompt.shape)) {
    if (!config.capabilities.click_prompts) {
      return CapabilityMissing("click", "the loaded model takes no prompts");
    }
    return CheckFinite(Numbers(*click));
  }
  const UserBox* box = std::get_if<UserBox>(&prompt.shape);
  if (box == nullptr) return InvalidField("", "needs a click or a box");
  if (!config.capabilities.box_prompts) {
    return CapabilityMissing("box", "the loaded model takes no box prompts");
  }
  SEMSAM_RETURN_IF_ERROR(CheckFinite(Numbers(*box)));
  if (!(box->x0 < box->x1)) return InvalidField("box.x1", "must be above x0");
  if (!(box->y0 < box->y1)) return InvalidField("box.y1", "must be above y0");
  return absl::OkStatus();
}

// Numbers alternate x, y.
absl::Status CheckInside(absl::Span<const NamedNumber> numbers, float width, float height) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    const float bound = i % 2 == 0 ? width : height;
    if (numbers[i].value < 0 || numbers[i].value > bound) {
      return InvalidField(
          numbers[i].field,
          absl::StrCat("lies outside the image: ", numbers[i].value, " is not in [0, ", bound, "]"),
          reason::kPointOutsideImage);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Prompt> ToModelPrompt(const UserPrompt& prompt, ImageSize original,
                                     const ModelConfig& config) {
  const bool pixels = prompt.frame == CoordinateFrame::kPixels;
  const float width = pixels ? static_cast<float>(original.width) : 1.0f;
  const float height = pixels ? static_cast<float>(original.height) : 1.0f;
  if (const UserClick* click = std::get_if<UserClick>(&prompt.shape)) {
    SEMSAM_RETURN_IF_ERROR(CheckInside(Numbers(*click), width, height));
    return Prompt{.cx = click->x / width,
                  .cy = click->y / height,
                  .w = config.click_size,
                  .h = config.click_size,
                  .point_or_box = config.click_point_or_box};
  }
  const UserBox& box = std::get<UserBox>(prompt.shape);
  SEMSAM_RETURN_IF_ERROR(CheckInside(Numbers(box), width, height));
  return Prompt{.cx = (box.x0 + box.x1) / 2 / width,
                .cy = (box.y0 + box.y1) / 2 / height,
                .w = (box.x1 - box.x0) / width,
                .h = (box.y1 - box.y0) / height,
                .point_or_box = config.box_point_or_box};
}

}  // namespace

absl::Status ValidatePrompts(absl::Span<const UserPrompt> prompts, const ModelConfig& config,
                             const PromptLimits& limits) {
  if (prompts.empty()) return InvalidField("prompts", "must not be empty");
  if (prompts.size() > static_cast<size_t>(limits.max_prompts)) {
    return InvalidField("prompts",
                        absl::StrCat("has ", prompts.size(), " entries; at most ",
                                     limits.max_prompts, " are allowed"),
                        reason::kLimitExceeded);
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].tag.size() > static_cast<size_t>(limits.max_tag_bytes)) {
      return InvalidField(PromptPath(i) + ".tag",
                          absl::StrCat("is longer than ", limits.max_tag_bytes, " bytes"),
                          reason::kLimitExceeded);
    }
    SEMSAM_RETURN_IF_ERROR(PrependField(CheckShape(prompts[i], config), PromptPath(i)));
  }
  return absl::OkStatus();
}

absl::Status CheckUnitInterval(const std::optional<float>& value, std::string_view field) {
  if (value.has_value() && !(*value >= 0 && *value <= 1)) {
    return InvalidField(field, "must lie in [0, 1]");
  }
  return absl::OkStatus();
}

absl::Status ValidateLevels(absl::Span<const int64_t> levels, const ModelConfig& config) {
  for (size_t i = 0; i < levels.size(); ++i) {
    const std::string path = absl::StrCat("levels[", i, "]");
    if (levels[i] < 1 || levels[i] > config.levels()) {
      return InvalidField(
          path, absl::StrCat(levels[i], " is unknown; the model has levels 1 to ", config.levels()),
          reason::kUnknownLevel);
    }
    if (std::count(levels.begin(), levels.begin() + static_cast<int64_t>(i), levels[i]) != 0) {
      return InvalidField(path, absl::StrCat(levels[i], " is repeated"));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateOptions(const SegmentOptions& options, const ModelConfig& config) {
  SEMSAM_RETURN_IF_ERROR(PrependField(ValidateLevels(options.levels, config), "options"));
  if (options.min_predicted_iou.has_value() && !std::isfinite(*options.min_predicted_iou)) {
    return InvalidField("options.min_predicted_iou", "must be finite");
  }
  SEMSAM_RETURN_IF_ERROR(CheckUnitInterval(options.min_stability, "options.min_stability"));
  if (options.encoding == MaskEncoding::kLogits && options.min_region_area_px > 0) {
    return InvalidField("options.min_region_area_px", "logits are given as the model gives them");
  }
  return CheckUnitInterval(options.max_duplicate_iou, "options.max_duplicate_iou");
}

absl::Status CheckRegionEncoding(MaskEncoding encoding) {
  if (encoding != MaskEncoding::kLogits) return absl::OkStatus();
  return InvalidField("options.encoding", "logits are given of masks that answer a prompt only");
}

absl::StatusOr<std::vector<Prompt>> ToModelPrompts(absl::Span<const UserPrompt> prompts,
                                                   ImageSize original, const ModelConfig& config) {
  std::vector<Prompt> converted;
  converted.reserve(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    absl::StatusOr<Prompt> prompt = ToModelPrompt(prompts[i], original, config);
    if (!prompt.ok()) return PrependField(prompt.status(), PromptPath(i));
    converted.push_back(*prompt);
  }
  return converted;
}

std::vector<int> LevelsToAnswer(absl::Span<const int64_t> levels, const ModelConfig& config) {
  std::vector<int> answered(levels.begin(), levels.end());
  if (answered.empty()) {
    answered.resize(config.levels());
    std::iota(answered.begin(), answered.end(), 1);
  }
  std::sort(answered.begin(), answered.end());
  return answered;
}

}  // namespace semsam
