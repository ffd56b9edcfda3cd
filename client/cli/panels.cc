#include "client/cli/panels.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace semsam::client {
namespace {

// The word that names a mask best: an object's if it has one, else a part's.
const Legend::Entry* BestWord(const Legend& legend, const Mask& mask) {
  for (const auto& [list, labels] :
       {std::pair{kObjectsList, &mask.object_labels}, std::pair{kPartsList, &mask.part_labels}}) {
    if (labels->empty()) continue;
    if (const auto* entry = legend.Find(list, labels->front().word_index)) return entry;
  }
  return nullptr;
}

std::string WithScore(const Legend::Entry& entry, float score) {
  return absl::StrCat(TagOf(entry), " ", absl::StrFormat("%.2f", score));
}

// "cat 0.83 / head 0.61": the best of each list.
std::string NamesOf(const Legend& legend, const Mask& mask) {
  std::string names;
  for (const auto& [list, labels] :
       {std::pair{kObjectsList, &mask.object_labels}, std::pair{kPartsList, &mask.part_labels}}) {
    if (labels->empty()) continue;
    const auto* entry = legend.Find(list, labels->front().word_index);
    if (entry == nullptr) continue;
    absl::StrAppend(&names, names.empty() ? "" : " / ", WithScore(*entry, labels->front().score));
  }
  return names;
}

PaintedMask PaintedBy(const SegmentReport& report, const Mask& mask, Rgb colour_without_words) {
  const Legend::Entry* word = BestWord(report.legend, mask);
  return {.mask = &mask,
          .colour = word == nullptr ? colour_without_words : word->colour,
          .tag = NamesOf(report.legend, mask)};
}

std::vector<GranularityLevel> PanelLevels(const SegmentReport& report,
                                          const std::vector<int>& levels) {
  std::set<int> wanted(levels.begin(), levels.end());
  if (wanted.empty()) {
    for (const GranularityLevel& level : report.model.levels) wanted.insert(level.level);
  }
  for (const TimedMask& timed : report.masks) wanted.insert(timed.mask.level);
  std::vector<GranularityLevel> result;
  for (const int level : wanted) {
    if (result.size() == kMaxPanels) break;
    result.push_back({.level = level});
    for (const GranularityLevel& known : report.model.levels) {
      if (known.level == level) result.back().name = known.name;
    }
  }
  return result;
}

Panel LevelPanel(const SegmentReport& report, const GranularityLevel& level) {
  Panel panel{.title = {{absl::StrCat("level ", level.level)}}};
  if (!level.name.empty()) panel.title.push_back({level.name});
  const bool single = report.prompts.size() == 1;
  for (const TimedMask& timed : report.masks) {
    const Mask& mask = timed.mask;
    if (mask.level != level.level) continue;
    panel.masks.push_back(PaintedBy(report, mask, NumberedColour(mask.prompt_index)));
    const std::string iou = absl::StrFormat("IoU %.3f", mask.predicted_iou);
    ColouredText part{single ? iou : absl::StrCat(mask.prompt_index + 1, ": ", iou)};
    if (!single) part.colour = NumberedColour(mask.prompt_index);
    panel.title.push_back(std::move(part));
  }
  if (panel.masks.empty()) panel.title.push_back({"no mask"});
  return panel;
}

Panel EverythingPanel(const SegmentReport& report) {
  size_t roots = 0;
  for (const int parent : report.parents) roots += parent < 0 ? 1 : 0;
  Panel panel{.title = {{absl::StrCat("everything: ", report.masks.size(), " masks")},
                        {absl::StrCat(roots, " in no other")}}};
  const bool worded = !report.legend.entries().empty();
  for (size_t i = 0; i < report.masks.size(); ++i) {
    panel.masks.push_back(
        PaintedBy(report, report.masks[i].mask, worded ? kUnnamedColour : NumberedColour(i)));
  }
  return panel;
}

Panel KindPanel(const SegmentReport& report, VocabularySegment::Kind kind) {
  Panel panel;
  for (const TimedSegment& timed : report.segments) {
    const VocabularySegment& segment = timed.segment;
    if (segment.kind != kind) continue;
    const Legend::Entry* entry = report.legend.Find(ListOf(segment), segment.word_index);
    if (entry == nullptr) continue;
    const bool scored = kind != VocabularySegment::Kind::kSemantic;
    panel.masks.push_back({.mask = &segment.mask,
                           .colour = entry->colour,
                           .tag = scored ? WithScore(*entry, segment.score) : TagOf(*entry)});
  }
  panel.title = {{absl::StrCat(KindName(kind), ": ", panel.masks.size(), " regions")}};
  return panel;
}

Panel MapPanel(const SegmentReport& report) {
  const PanopticMap& map = *report.panoptic;
  Panel panel{.title = {{absl::StrCat("panoptic: ", map.segments.size(), " segments")}},
              .map = &map};
  for (const PanopticSegment& segment : map.segments) {
    const Legend::Entry* entry =
        report.legend.Find(segment.is_thing ? kThingsList : kStuffList, segment.word_index);
    if (entry == nullptr) continue;
    panel.map_colours[segment.id] = {.colour = entry->colour, .tag = TagOf(*entry)};
  }
  return panel;
}

std::vector<Panel> WordPanels(const SegmentReport& report) {
  std::vector<Panel> panels;
  for (const VocabularySegment::Kind kind :
       {VocabularySegment::Kind::kInstance, VocabularySegment::Kind::kPart,
        VocabularySegment::Kind::kSemantic}) {
    Panel panel = KindPanel(report, kind);
    if (!panel.masks.empty()) panels.push_back(std::move(panel));
  }
  if (report.panoptic.has_value()) panels.push_back(MapPanel(report));
  if (panels.empty()) panels.push_back({.title = {{"no region"}}});
  return panels;
}

}  // namespace

OverlayRequest MakeOverlay(const SegmentReport& report, const std::vector<int>& levels,
                           std::string_view image_bytes) {
  OverlayRequest overlay{
      .image_bytes = image_bytes, .image_size = report.summary.image_size, .legend = report.legend};
  for (const Prompt& prompt : report.prompts) {
    overlay.prompts.push_back(ToPixels(prompt, report.summary.image_size));
  }
  switch (report.task) {
    case Task::kPrompts:
      for (const GranularityLevel& level : PanelLevels(report, levels)) {
        overlay.panels.push_back(LevelPanel(report, level));
      }
      break;
    case Task::kWords:
      overlay.panels = WordPanels(report);
      break;
    case Task::kEverything:
      overlay.panels.push_back(EverythingPanel(report));
      break;
  }
  return overlay;
}

}  // namespace semsam::client
