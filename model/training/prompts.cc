#include "model/training/prompts.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/run_lengths.h"
#include "model/torch/catch.h"

namespace semsam {
namespace {

// The annotations that can be learnt, by their index in the sample.
std::vector<int> UsableAnnotations(const Sample& sample, int limit, Random& random) {
  std::vector<int> usable;
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    const Annotation& annotation = sample.annotations[i];
    if (!annotation.crowd && !annotation.box.empty()) usable.push_back(static_cast<int>(i));
  }
  if (static_cast<int>(usable.size()) > limit) {
    random.Shuffle(std::span<int>(usable));
    usable.resize(limit);
    std::sort(usable.begin(), usable.end());
  }
  return usable;
}

// Ors `mask` into `plane` [H, W] of the padded picture.
void Paint(const RunLengths& mask, at::Tensor plane) {
  const BinaryMask pixels = DecodeRunLengths(mask);
  uint8_t* out = plane.mutable_data_ptr<uint8_t>();
  const int64_t stride = plane.size(1);
  for (int y = 0; y < pixels.size.height; ++y) {
    const uint8_t* row = pixels.pixels.data() + static_cast<size_t>(y) * pixels.size.width;
    for (int x = 0; x < pixels.size.width; ++x) out[y * stride + x] |= row[x];
  }
}

at::Tensor UnknownRegion(const Sample& sample, ImageSize padded) {
  at::Tensor region;
  const auto add = [&](const RunLengths& mask) {
    if (!region.defined()) region = at::zeros({1, padded.height, padded.width}, at::kByte);
    Paint(mask, region[0]);
  };
  if (sample.unknown && MaskArea(*sample.unknown) > 0) add(*sample.unknown);
  for (const Annotation& annotation : sample.annotations) {
    if (annotation.crowd && annotation.mask) add(*annotation.mask);
  }
  return region;
}

// Masks, boxes and what is unknown.
ImageTargets Shapes(const Sample& sample, const std::vector<int>& usable, ImageSize padded) {
  const int64_t count = static_cast<int64_t>(usable.size());
  ImageTargets targets = {.masks = at::zeros({count, padded.height, padded.width}, at::kByte),
                          .boxes = at::empty({count, 4}, at::kFloat),
                          .has_mask = at::zeros({count}, at::kBool),
                          .unknown = UnknownRegion(sample, padded)};
  float* box = targets.boxes.mutable_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    const Annotation& annotation = sample.annotations[usable[i]];
    const BoxPx& px = annotation.box;
    const CenterBox relative = RelativeBox(px.x0, px.y0, px.x1, px.y1, padded);
    for (const float value : {relative.cx, relative.cy, relative.w, relative.h}) *box++ = value;
    if (!annotation.mask) continue;
    targets.has_mask[i].fill_(true);
    Paint(*annotation.mask, targets.masks[i]);
  }
  return targets;
}

at::Tensor Flags(const WordList& list, const std::vector<std::string>& words) {
  at::Tensor flags = at::zeros({list.size()}, at::kBool);
  bool* out = flags.mutable_data_ptr<bool>();
  for (const std::string& word : words) {
    const int64_t index = list.IndexOf(word);
    if (index >= 0) out[index] = true;
  }
  return flags;
}

LabelTargets Labels(const Sample& sample, const std::vector<int>& usable, const WordList& list,
                    LabelHead head) {
  const bool parts = head == LabelHead::kPart;
  static const Vocabulary* const kNoVocabulary = new Vocabulary();
  const Vocabulary& vocabulary = sample.vocabulary ? *sample.vocabulary : *kNoVocabulary;
  const std::vector<std::string>& names = parts ? vocabulary.parts : vocabulary.objects;
  LabelTargets targets;
  targets.listed = Flags(list, names);
  targets.absent = vocabulary.closed_world ? targets.listed : Flags(list, sample.absent);
  for (const int index : usable) {
    const Annotation& annotation = sample.annotations[index];
    const std::string& name = parts ? annotation.part_name : annotation.object_name;
    if (!name.empty()) {
      targets.labels.push_back(list.IndexOf(name));
    } else if (parts && !annotation.is_part() && !names.empty()) {
      targets.labels.push_back(kNoLabel);  // a whole object, where parts are named
    } else {
      targets.labels.push_back(kUnknownLabel);
    }
  }
  return targets;
}

bool HasNames(const Sample& sample) {
  return std::any_of(sample.annotations.begin(), sample.annotations.end(),
                     [](const Annotation& annotation) {
                       return !annotation.object_name.empty() || !annotation.part_name.empty();
                     });
}

// All targets whose mask contains the click, `clicked` first, `limit` at most.
std::vector<int64_t> TargetsAt(const Sample& sample, const std::vector<int>& usable, int clicked,
                               ClickPixel click, int limit, Random& random) {
  std::vector<const RunLengths*> others;
  std::vector<int64_t> other_targets;
  for (size_t i = 0; i < usable.size(); ++i) {
    const Annotation& annotation = sample.annotations[usable[i]];
    if (static_cast<int>(i) == clicked || !annotation.mask) continue;
    others.push_back(&*annotation.mask);
    other_targets.push_back(static_cast<int64_t>(i));
  }
  std::vector<int64_t> targets = {clicked};
  for (const int index : MasksAt(others, click, limit - 1, random)) {
    targets.push_back(other_targets[index]);
  }
  return targets;
}

Prompt ToPrompt(const CenterBox& box, int row) {
  return {.cx = box.cx, .cy = box.cy, .w = box.w, .h = box.h, .point_or_box = row};
}

}  // namespace

WordList::WordList(std::vector<std::string> words) {
  for (std::string& word : words) {
    if (index_.emplace(word, size()).second) words_.push_back(std::move(word));
  }
}

int64_t WordList::IndexOf(std::string_view word) const {
  const auto it = index_.find(word);
  return it == index_.end() ? kUnknownLabel : it->second;
}

absl::Status Validate(const PromptOptions& options) {
  if (options.count < 1) return InvalidField("count", "must be at least 1");
  if (!(options.box_share >= 0 && options.box_share <= 1)) {
    return InvalidField("box_share", "must lie in 0 to 1");
  }
  if (options.tokens < 1) return InvalidField("tokens", "must be at least 1");
  if (!(options.click_radius_px > 0)) return InvalidField("click_radius_px", "must be above 0");
  if (!(options.noise.scale >= 0 && options.noise.scale < 1)) {
    return InvalidField("noise.scale", "must lie in 0 to 1, without 1");
  }
  if (!(options.noise.point_scale >= 0 && options.noise.point_scale <= 1)) {
    return InvalidField("noise.point_scale", "must lie in 0 to 1");
  }
  const auto is_row = [](int row) { return row == 0 || row == 1; };
  if (!is_row(options.click_row)) return InvalidField("click_row", "must be 0 or 1");
  if (!is_row(options.box_row)) return InvalidField("box_row", "must be 0 or 1");
  if (options.max_targets < 1) return InvalidField("max_targets", "must be at least 1");
  return absl::OkStatus();
}

absl::StatusOr<TrainingPrompts> MakeTrainingPrompts(const Sample& sample, ImageSize padded,
                                                    const StepWords& words,
                                                    const PromptOptions& options, Random& random) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  if (sample.size.height > padded.height || sample.size.width > padded.width) {
    return absl::InvalidArgumentError(
        absl::StrCat(sample.name, ": the picture is larger than its padded size"));
  }
  const std::vector<int> usable = UsableAnnotations(sample, options.max_targets, random);
  TrainingPrompts result;
  SEMSAM_RETURN_IF_ERROR(CatchTorch([&] {
    result.targets = Shapes(sample, usable, padded);
    result.targets.objects = Labels(sample, usable, words.objects, LabelHead::kObject);
    result.targets.parts = Labels(sample, usable, words.parts, LabelHead::kPart);
    return absl::OkStatus();
  }));
  const bool many = options.click_targets == ClickTargets::kAll ||
                    (options.click_targets == ClickTargets::kByData && !HasNames(sample));
  for (const int target :
       RepeatedPermutation(static_cast<int>(usable.size()), options.count, random)) {
    const Annotation& annotation = sample.annotations[usable[target]];
    std::optional<ClickPixel> click;
    if (annotation.mask && !random.Chance(options.box_share)) {
      click = UniformInteriorPixel(*annotation.mask, random);
    }
    const BoxPx& px = annotation.box;
    const CenterBox exact = click ? ClickBox(*click, sample.size, options.click_radius_px)
                                  : RelativeBox(px.x0, px.y0, px.x1, px.y1, sample.size);
    const CenterBox box = NoisyBox(exact, click.has_value(), options.noise, random);
    result.prompts.push_back(ToPrompt(box, click ? options.click_row : options.box_row));
    result.targets.prompts.push_back(
        {.targets = click && many
                        ? TargetsAt(sample, usable, target, *click, options.tokens, random)
                        : std::vector<int64_t>{target},
         .is_box = !click.has_value()});
  }
  return result;
}

DenoisingBoxes MakeDenoisingBoxes(const ImageTargets& targets, int groups, const BoxNoise& noise,
                                  Random& random) {
  const at::Tensor boxes = targets.boxes.contiguous();
  DenoisingBoxes result = {.boxes = at::empty({groups * targets.size(), 4}, at::kFloat),
                           .pairs = {}};
  float* out = result.boxes.mutable_data_ptr<float>();
  for (int64_t query = 0; query < result.boxes.size(0); ++query) {
    const int64_t target = query % targets.size();
    const float* box = boxes.const_data_ptr<float>() + 4 * target;
    const CenterBox noisy =
        NoisyBox({box[0], box[1], box[2], box[3]}, /*is_point=*/false, noise, random);
    for (const float value : {noisy.cx, noisy.cy, noisy.w, noisy.h}) *out++ = value;
    result.pairs.queries.push_back(query);
    result.pairs.targets.push_back(target);
  }
  return result;
}

}  // namespace semsam
