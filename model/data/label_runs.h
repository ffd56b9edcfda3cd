// Label maps taken apart into masks.
#ifndef SEMSAM_MODEL_DATA_LABEL_RUNS_H_
#define SEMSAM_MODEL_DATA_LABEL_RUNS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/decode_image.h"
#include "model/image/label_png.h"

namespace semsam {

// More values are noise, not labels, and would take memory without end.
inline constexpr size_t kMaxLabels = 65536;

// The mask of every value that occurs. Errors: INVALID_ARGUMENT beyond kMaxLabels.
absl::StatusOr<std::map<uint32_t, RunLengths>> RunsOfValues(const LabelImage& labels);

// Reads a label map from a file. Errors name the file. Thread-safe.
absl::StatusOr<LabelImage> ReadLabelPng(const std::string& path, const DecodeLimits& limits = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_LABEL_RUNS_H_
