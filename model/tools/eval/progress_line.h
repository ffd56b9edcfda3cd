// A line on the terminal that says how far an evaluation is.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_PROGRESS_LINE_H_
#define SEMSAM_MODEL_TOOLS_EVAL_PROGRESS_LINE_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/evaluation/protocol.h"

namespace semsam {

// Not thread-safe.
class ProgressLine {
 public:
  // Both outlive this. `total`: pictures.
  ProgressLine(std::ostream& out, const Clock& clock, std::string name, int64_t total);

  // Rewrites the line, at most twice a second.
  void Update(const InteractiveProgress& progress);
  // Writes the line for the last time, and ends it.
  void End();

  double seconds() const;

 private:
  void Write();

  std::ostream& out_;
  const Clock& clock_;
  const std::string name_;
  const int64_t total_;
  const absl::Time start_;
  absl::Time written_;
  InteractiveProgress progress_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_PROGRESS_LINE_H_
