// The tables of client/cli/report.h.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/report.h"
#include "client/utf8.h"

namespace semsam::client {
namespace {

using Row = std::vector<std::string>;

// Characters; good enough for what stands beside numbers.
size_t Width(std::string_view text) {
  size_t width = 0;
  for (; !text.empty(); ++width) text.remove_prefix(std::max<size_t>(Utf8Length(text), 1));
  return width;
}

// Columns as wide as their widest cell, numbers flush right.
std::string Layout(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      absl::StrAppend(&text, i == 0 ? "" : "  ", i == 0 ? "" : padding, row[i],
                      i == 0 ? padding : "");
    }
    text += "\n";
  }
  return text;
}

std::string DescribeBox(const PixelBox& box) {
  return absl::StrCat(box.x, ",", box.y, ",", box.width, ",", box.height);
}

std::string Milliseconds(absl::Duration time) {
  return absl::StrFormat("%.1f", absl::ToDoubleMilliseconds(time));
}

std::string Score(float score) { return absl::StrFormat("%.3f", score); }

bool HasLabels(const SegmentReport& report) { return !report.legend.entries().empty(); }

bool HasIds(const SegmentReport& report) {
  return std::any_of(report.masks.begin(), report.masks.end(),
                     [](const TimedMask& timed) { return timed.mask.mask_id != 0; });
}

// Columns of masks of either task, behind the first.
Row MaskCells(const SegmentReport& report, const TimedMask& timed) {
  const Mask& mask = timed.mask;
  Row row = {absl::StrCat(mask.level),   Score(mask.predicted_iou), Score(mask.stability),
             absl::StrCat(mask.area_px), DescribeBox(mask.box),     Milliseconds(timed.arrival)};
  if (HasLabels(report)) {
    for (const auto* labels : {&mask.object_labels, &mask.part_labels}) {
      row.push_back(labels->empty() ? "-" : DescribeBest(*labels));
    }
  }
  if (HasIds(report)) row.push_back(mask.mask_id == 0 ? "-" : absl::StrCat(mask.mask_id));
  return row;
}

std::vector<Row> MaskRows(const SegmentReport& report) {
  const bool everything = report.task == Task::kEverything;
  Row head = {
      everything ? "mask" : "prompt", "level", "IoU", "stability", "area px", "box x,y,w,h", "ms"};
  if (HasLabels(report)) head.insert(head.end(), {"object", "part"});
  if (HasIds(report)) head.push_back("mask id");
  if (everything) head.insert(head.begin() + 1, "in");
  std::vector<Row> rows = {head};
  for (size_t i = 0; i < report.masks.size(); ++i) {
    const TimedMask& timed = report.masks[i];
    Row row = MaskCells(report, timed);
    if (everything) {
      const int parent = i < report.parents.size() ? report.parents[i] : -1;
      row.insert(row.begin(), {absl::StrCat(i + 1), parent < 0 ? "-" : absl::StrCat(parent + 1)});
    } else {
      const int prompt = timed.mask.prompt_index;
      row.insert(row.begin(),
                 absl::StrCat(prompt + 1, " ", DescribePrompt(report.prompts[prompt])));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Row> SegmentRows(const SegmentReport& report) {
  std::vector<Row> rows = {{"region", "kind", "score", "area px", "box x,y,w,h", "ms"}};
  for (const TimedSegment& timed : report.segments) {
    const VocabularySegment& segment = timed.segment;
    const bool semantic = segment.kind == VocabularySegment::Kind::kSemantic;
    rows.push_back({segment.name, KindName(segment.kind), semantic ? "-" : Score(segment.score),
                    absl::StrCat(segment.mask.area_px), DescribeBox(segment.mask.box),
                    Milliseconds(timed.arrival)});
  }
  if (!report.panoptic.has_value()) return rows;
  for (const PanopticSegment& segment : report.panoptic->segments) {
    rows.push_back({segment.name, absl::StrCat("panoptic ", segment.id), Score(segment.score),
                    absl::StrCat(segment.area_px), DescribeBox(segment.box), "-"});
  }
  return rows;
}

}  // namespace

std::string DescribeBest(const std::vector<Label>& labels) {
  if (labels.empty()) return "";
  return absl::StrCat(labels.front().name, " ", absl::StrFormat("%.2f", labels.front().score));
}

std::string ToTable(const SegmentReport& report) {
  return Layout(report.task == Task::kWords ? SegmentRows(report) : MaskRows(report));
}

}  // namespace semsam::client
