// What a training says of itself: metrics.jsonl, a progress line, curves.svg.
#ifndef SEMSAM_MODEL_TRAINING_METRICS_H_
#define SEMSAM_MODEL_TRAINING_METRICS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/training/criterion.h"

namespace semsam {

// Means over the steps since the line before. JSON names in quotes.
struct Metrics {
  int64_t step = 0;  // "step": done so far
  double epoch = 0;  // "epoch"
  double loss = 0;   // "loss": what is minimised
  // By LossTerms::kNames: of the last layer, a matched pair of prompts, unweighted.
  std::array<double, LossTerms::kCount> terms{};
  double learning_rate = 0;   // "learning_rate": of the last step
  double gradient_norm = 0;   // "gradient_norm": before clipping
  double pairs = 0;           // "pairs": a step
  double pictures_per_s = 0;  // "pictures_per_s"
  double loader_share = 0;    // "loader_share": of the time that was spent on waiting for data
  int64_t skipped_steps = 0;  // "skipped_steps": whose gradient was not finite
  int64_t bad_samples = 0;    // "bad_samples": since the start
};

// One line without its end.
std::string MetricsToJson(const Metrics& metrics);

// The lines of a file up to and with `last_step`, of which a training that is taken up
// again keeps the first ones. A last line that is cut short is left out. Errors:
// INVALID_ARGUMENT that names file and line. A missing file has no lines.
absl::StatusOr<std::vector<Metrics>> ReadMetrics(const std::string& path, int64_t last_step);

// All of them as a file. Errors carry the path.
absl::Status WriteMetrics(const std::string& path, const std::vector<Metrics>& lines);
absl::Status AppendMetrics(const std::string& path, const Metrics& line);

// "step 120/5000  loss 3.21  ... ": one line for people.
std::string ProgressLine(const Metrics& metrics, int64_t total_steps, double seconds_left);

// Loss, its terms and the learning rate over the steps, as an SVG picture.
std::string DrawCurves(const std::vector<Metrics>& lines, std::string_view title);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_METRICS_H_
