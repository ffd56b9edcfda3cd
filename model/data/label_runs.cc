#include "model/data/label_runs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"

namespace semsam {

absl::StatusOr<std::map<uint32_t, RunLengths>> RunsOfValues(const LabelImage& labels) {
  struct Open {
    RunLengths runs;
    int64_t end = 0;  // of the last run, column-major
  };
  std::map<uint32_t, Open> open;
  const ImageSize size = labels.size;
  Open* current = nullptr;
  uint32_t value = 0;
  int64_t at = 0;
  const auto change = [&at](Open& mask) {
    mask.runs.counts.push_back(static_cast<uint32_t>(at - mask.end));
    mask.end = at;
  };
  for (int x = 0; x < size.width; ++x) {
    for (int y = 0; y < size.height; ++y, ++at) {
      const uint32_t next = labels.values[static_cast<size_t>(y) * size.width + x];
      if (current != nullptr && next == value) continue;
      if (current != nullptr) change(*current);
      current = &open[next];
      current->runs.size = size;
      change(*current);
      value = next;
      if (open.size() > kMaxLabels) {
        return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxLabels, " labels"));
      }
    }
  }
  std::map<uint32_t, RunLengths> masks;
  for (auto& [label, mask] : open) {
    if (mask.end < at) change(mask);
    masks.emplace(label, std::move(mask.runs));
  }
  return masks;
}

absl::StatusOr<LabelImage> ReadLabelPng(const std::string& path, const DecodeLimits& limits) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(path, limits.max_encoded_bytes));
  absl::StatusOr<LabelImage> labels = DecodeLabelPng(bytes, limits);
  if (!labels.ok()) return Annotate(labels.status(), path);
  return labels;
}

}  // namespace semsam
