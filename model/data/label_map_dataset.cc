#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/label_runs.h"
#include "model/data/picture_path.h"
#include "model/data/readers.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/components.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;

bool Has(const std::vector<uint32_t>& values, uint32_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

const LabelRule* RuleOf(const LabelMapRules& rules, uint32_t value) {
  for (const LabelRule& rule : rules.rules) {
    if (rule.value == value) return &rule;
  }
  return nullptr;
}

std::shared_ptr<const Vocabulary> VocabularyOf(const DatasetSpec& spec) {
  const LabelMapRules& rules = spec.label_rules;
  VocabularyBuilder builder(spec.name);
  builder.AddObject(rules.whole);
  builder.AddObject(rules.instances_of);
  for (const LabelRule& rule : rules.rules) {
    builder.AddObject(rule.object_name);
    builder.AddPart(rule.part_name);
  }
  if (!rules.part_boxes.empty()) builder.AddPart(rules.part_boxes_name);
  return builder.Build(spec.closed_world);
}

// Corners of boxes by the name of the picture; not cut yet.
absl::StatusOr<std::map<std::string, BoxPx>> ReadPartBoxes(const LabelMapRules& rules) {
  std::map<std::string, BoxPx> boxes;
  if (rules.part_boxes.empty()) return boxes;
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(rules.part_boxes, kMaxFileBytes));
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return Annotate(json.status(), rules.part_boxes);
  if (!json->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(rules.part_boxes, ": not an object"));
  }
  for (const auto& [name, entry] : json->items()) {
    const Json* field = FindField(entry, rules.part_boxes_field.c_str());
    if (field == nullptr) continue;
    absl::StatusOr<std::vector<double>> corners = Numbers(*field);
    if (!corners.ok() || corners->size() != 4) {
      return absl::InvalidArgumentError(absl::StrCat(rules.part_boxes, ": \"", name, "\": \"",
                                                     rules.part_boxes_field,
                                                     "\": must be four numbers"));
    }
    boxes[name] = {
        .x0 = (*corners)[0], .y0 = (*corners)[1], .x1 = (*corners)[2], .y1 = (*corners)[3]};
  }
  return boxes;
}

class LabelMapDataset final : public Dataset {
 public:
  LabelMapDataset(DatasetSpec spec, std::vector<std::string> stems,
                  std::map<std::string, BoxPx> part_boxes)
      : spec_(std::move(spec)), stems_(std::move(stems)), part_boxes_(std::move(part_boxes)) {
    info_ = {.name = spec_.name,
             .licence = spec_.licence,
             .source = spec_.source,
             .vocabulary = VocabularyOf(spec_)};
  }

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return stems_.size(); }
  std::string name(size_t index) const override { return stems_[index]; }
  absl::StatusOr<Sample> Load(size_t index) const override;

 private:
  absl::Status AddMasks(const std::map<uint32_t, RunLengths>& masks, Sample& sample) const;
  absl::Status AddByRule(const LabelRule& rule, const RunLengths& mask, Sample& sample) const;
  void AddWhole(const std::map<uint32_t, RunLengths>& masks, Sample& sample) const;
  void AddPartBox(Sample& sample) const;

  const DatasetSpec spec_;
  const std::vector<std::string> stems_;
  const std::map<std::string, BoxPx> part_boxes_;
  DatasetInfo info_;
};

void LabelMapDataset::AddWhole(const std::map<uint32_t, RunLengths>& masks, Sample& sample) const {
  std::optional<RunLengths> whole;
  for (const LabelRule& rule : spec_.label_rules.rules) {
    const auto mask = masks.find(rule.value);
    if (rule.part_name.empty() || mask == masks.end()) continue;
    whole = whole.has_value() ? UnionOf(*whole, mask->second) : mask->second;
  }
  if (!whole.has_value()) return;
  sample.annotations.push_back(
      {.id = 1, .mask = *whole, .box = TightBox(*whole), .object_name = spec_.label_rules.whole});
}

absl::Status LabelMapDataset::AddByRule(const LabelRule& rule, const RunLengths& mask,
                                        Sample& sample) const {
  std::vector<RunLengths> pieces = {mask};
  if (rule.split) {
    SEMSAM_ASSIGN_OR_RETURN(pieces, ConnectedComponents(mask, rule.min_piece_px));
  }
  const bool nested = !rule.part_name.empty() && !spec_.label_rules.whole.empty();
  for (RunLengths& piece : pieces) {
    const BoxPx box = TightBox(piece);
    sample.annotations.push_back({.id = static_cast<int64_t>(sample.annotations.size()) + 1,
                                  .mask = std::move(piece),
                                  .box = box,
                                  .object_name = rule.object_name,
                                  .part_name = rule.part_name,
                                  .parent = nested ? 0 : -1});
  }
  return absl::OkStatus();
}

absl::Status LabelMapDataset::AddMasks(const std::map<uint32_t, RunLengths>& masks,
                                       Sample& sample) const {
  const LabelMapRules& rules = spec_.label_rules;
  if (!rules.whole.empty()) AddWhole(masks, sample);
  for (const auto& [value, mask] : masks) {
    if (Has(rules.background, value)) continue;
    if (Has(rules.unknown, value)) {
      AddUnknown(sample, mask);
    } else if (const LabelRule* rule = RuleOf(rules, value); rule != nullptr) {
      SEMSAM_RETURN_IF_ERROR(AddByRule(*rule, mask, sample));
    } else if (!rules.instances_of.empty()) {
      sample.annotations.push_back(
          {.id = value, .mask = mask, .box = TightBox(mask), .object_name = rules.instances_of});
    } else {
      return absl::InvalidArgumentError(absl::StrCat("the value ", value, " has no meaning here"));
    }
  }
  return absl::OkStatus();
}

void LabelMapDataset::AddPartBox(Sample& sample) const {
  const auto found = part_boxes_.find(sample.name);
  // Whose head it is must be plain.
  if (found == part_boxes_.end() || sample.annotations.size() != 1) return;
  const BoxPx& box = found->second;
  const BoxPx cut = {.x0 = std::clamp<double>(box.x0, 0, sample.size.width),
                     .y0 = std::clamp<double>(box.y0, 0, sample.size.height),
                     .x1 = std::clamp<double>(box.x1, 0, sample.size.width),
                     .y1 = std::clamp<double>(box.y1, 0, sample.size.height)};
  if (cut.empty()) return;
  sample.annotations.push_back({.id = sample.annotations[0].id + 1,
                                .box = cut,
                                .object_name = sample.annotations[0].object_name,
                                .part_name = spec_.label_rules.part_boxes_name,
                                .parent = 0});
}

absl::StatusOr<Sample> LabelMapDataset::Load(size_t index) const {
  const std::string path = JoinPath(spec_.labels, stems_[index] + ".png");
  SEMSAM_ASSIGN_OR_RETURN(const LabelImage labels, ReadLabelPng(path));
  Sample sample = {.name = stems_[index],
                   .picture_path = PictureOfStem(spec_.images, stems_[index]),
                   .size = labels.size,
                   .vocabulary = info_.vocabulary,
                   .licence = info_.licence,
                   .source = info_.source};
  absl::StatusOr<std::map<uint32_t, RunLengths>> masks = RunsOfValues(labels);
  if (!masks.ok()) return Annotate(masks.status(), path);
  SEMSAM_RETURN_IF_ERROR(Annotate(AddMasks(*masks, sample), path));
  AddPartBox(sample);
  return sample;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenLabelMaps(const DatasetSpec& spec) {
  if (spec.labels.empty()) return InvalidField("labels", "needs the folder of the label maps");
  if (spec.images.empty()) return InvalidField("images", "needs the folder of the pictures");
  if (spec.label_rules.rules.empty() && spec.label_rules.instances_of.empty()) {
    return InvalidField("label_rules", "no value has a meaning");
  }
  SEMSAM_ASSIGN_OR_RETURN(std::vector<std::string> names, ListFolder(spec.labels, {".png"}));
  for (std::string& name : names) name = WithoutEnding(name);
  std::sort(names.begin(), names.end());  // without its ending a name sorts elsewhere
  SEMSAM_ASSIGN_OR_RETURN(auto part_boxes, ReadPartBoxes(spec.label_rules));
  DatasetSpec named = spec;
  if (named.name.empty()) named.name = BaseName(spec.labels);
  return std::make_unique<LabelMapDataset>(std::move(named), std::move(names),
                                           std::move(part_boxes));
}

}  // namespace semsam
