#include "server/batching/service_estimate.h"

#include <algorithm>

namespace semsam {
namespace {

// From next to nothing it must rise, too.
constexpr absl::Duration kSmallestStep = absl::Milliseconds(1);

}  // namespace

void ServiceEstimate::Floor::Add(absl::Duration sample) {
  if (sample <= value_) {
    value_ = sample;
  } else {
    value_ += std::min(sample - value_, std::max(value_, kSmallestStep)) / 8;
  }
}

void ServiceEstimate::Started(int work_class, int64_t units, absl::Time now) {
  MutexLock lock(mutex_);
  running_ = Running{.work_class = work_class, .units = units, .start = now};
}

void ServiceEstimate::Finished(absl::Time now) {
  MutexLock lock(mutex_);
  if (!running_.has_value()) return;
  const absl::Duration took = std::max(absl::ZeroDuration(), now - running_->start);
  ClassState& state = classes_[running_->work_class];
  ++state.runs;
  state.batch.Add(took);
  state.unit.Add(took / std::max<int64_t>(1, running_->units));
  state.last = now;
  running_.reset();
}

std::optional<absl::Duration> ServiceEstimate::RunLocked(int work_class, int64_t units) const {
  const ClassState& state = classes_[work_class];
  if (state.runs < kMinRuns) return std::nullopt;
  return std::max(state.batch.value(), state.unit.value() * units);
}

std::optional<absl::Duration> ServiceEstimate::Run(int work_class, int64_t units) const {
  MutexLock lock(mutex_);
  return RunLocked(work_class, units);
}

absl::Duration ServiceEstimate::Backlog(int work_class, int64_t units) const {
  MutexLock lock(mutex_);
  const ClassState& state = classes_[work_class];
  return state.runs < kMinRuns ? absl::ZeroDuration() : state.unit.value() * units;
}

absl::Duration ServiceEstimate::RestOfRun(absl::Time now) const {
  MutexLock lock(mutex_);
  if (!running_.has_value()) return absl::ZeroDuration();
  const auto run = RunLocked(running_->work_class, running_->units);
  return std::max(absl::ZeroDuration(),
                  run.value_or(absl::ZeroDuration()) - (now - running_->start));
}

std::optional<int> ServiceEstimate::RunningClass() const {
  MutexLock lock(mutex_);
  if (!running_.has_value()) return std::nullopt;
  return running_->work_class;
}

bool ServiceEstimate::Old(int work_class, absl::Time now) const {
  MutexLock lock(mutex_);
  if (running_.has_value() && running_->work_class == work_class) return false;
  return now - classes_[work_class].last > kMaxAge;
}

}  // namespace semsam
