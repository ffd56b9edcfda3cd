#include "client/cli/progress.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace semsam::client {
namespace {

constexpr char kWipeLine[] = "\r\x1b[K";
constexpr std::chrono::milliseconds kTick(250);
constexpr double kMega = 1e6;

}  // namespace

ProgressLine::ProgressLine(std::ostream& out, bool enabled) : out_(out), enabled_(enabled) {
  if (enabled_) ticker_ = std::jthread([this](const std::stop_token& stop) { Tick(stop); });
}

ProgressLine::~ProgressLine() { Done(); }

void ProgressLine::Stage(const std::string& what) {
  if (!enabled_) return;
  std::lock_guard<std::mutex> lock(mutex_);
  what_ = what;
  detail_.clear();
  start_ = absl::Now();
  Draw();
}

void ProgressLine::Bytes(const std::string& what, size_t done_bytes, size_t total_bytes) {
  if (!enabled_ || total_bytes == 0) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (what_ != what) start_ = absl::Now();
  what_ = what;
  detail_ = absl::StrFormat(" %.1f of %.1f MB (%d%%)", done_bytes / kMega, total_bytes / kMega,
                            100 * done_bytes / total_bytes);
  Draw();
}

void ProgressLine::Count(const std::string& what, int done, int total) {
  if (!enabled_ || total <= 0) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (what_ != what) start_ = absl::Now();
  what_ = what;
  detail_ = absl::StrFormat(" %d of %d (%d%%)", done, total, int64_t{100} * done / total);
  Draw();
}

void ProgressLine::Done() {
  if (!enabled_) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (!what_.empty()) out_ << kWipeLine << std::flush;
  what_.clear();
}

void ProgressLine::Tick(const std::stop_token& stop) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, kTick, [] { return false; });
    if (!what_.empty()) Draw();
  }
}

void ProgressLine::Draw() {
  const int64_t seconds = absl::ToInt64Seconds(absl::Now() - start_);
  out_ << kWipeLine << what_ << detail_;
  if (seconds > 0) out_ << ", " << seconds << " s";
  out_ << std::flush;
}

}  // namespace semsam::client
