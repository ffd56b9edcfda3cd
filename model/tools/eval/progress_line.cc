#include "model/tools/eval/progress_line.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace semsam {

ProgressLine::ProgressLine(std::ostream& out, const Clock& clock, std::string name, int64_t total)
    : out_(out),
      clock_(clock),
      name_(std::move(name)),
      total_(total),
      start_(clock.Now()),
      written_(absl::InfinitePast()) {}

void ProgressLine::Update(const InteractiveProgress& progress) {
  progress_ = progress;
  if (clock_.Now() - written_ < absl::Milliseconds(500)) return;
  Write();
}

void ProgressLine::End() {
  Write();
  out_ << std::endl;
}

double ProgressLine::seconds() const { return absl::ToDoubleSeconds(clock_.Now() - start_); }

void ProgressLine::Write() {
  written_ = clock_.Now();
  const double each = seconds() / static_cast<double>(std::max<int64_t>(progress_.pictures, 1));
  out_ << absl::StrFormat("\r%s: %d of %d pictures, %d prompts, %.3f s a picture", name_,
                          progress_.pictures, total_, progress_.prompts, each)
       << std::flush;
}

}  // namespace semsam
