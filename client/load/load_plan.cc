#include "client/load/load_plan.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam::load {
namespace {

constexpr double kMaxPlannedCalls = 1e6;
constexpr double kMaxSessionsPerS = 1e5;
constexpr int kMaxSessions = 100'000;
constexpr int kMaxClicksPerSession = 100'000;
constexpr int kMaxInFlight = 100'000;
constexpr int kMaxAttempts = 100;
constexpr absl::Duration kLongestRun = absl::Hours(24);
// Calls of a closed session before it repeats them.
constexpr int kClosedCalls = 256;
// Clicks keep off the edge of the picture.
constexpr double kEdge = 0.05;
constexpr uint64_t kSessionStride = 0x9e3779b97f4a7c15;

// The standard fixes the engine's numbers but not those of its distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // In [0, 1).
  double Uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  absl::Duration Exponential(absl::Duration mean) { return mean * -std::log1p(-Uniform()); }

 private:
  std::mt19937_64 engine_;
};

absl::Status CheckShare(const char* name, double share) {
  if (share >= 0 && share <= 1) return absl::OkStatus();
  return InvalidField(name, "must lie in [0, 1]");
}

absl::Status CheckCount(const char* name, int count, int most) {
  if (count >= 1 && count <= most) return absl::OkStatus();
  return InvalidField(name, absl::StrCat("must lie in [1, ", most, "]"));
}

absl::Status CheckTime(const char* name, absl::Duration time, bool may_be_zero) {
  if (time > kLongestRun || time < absl::ZeroDuration() ||
      (!may_be_zero && time == absl::ZeroDuration())) {
    return InvalidField(name, absl::StrCat("must be ", may_be_zero ? "at least 0" : "above 0",
                                           " and at most ", absl::FormatDuration(kLongestRun)));
  }
  return absl::OkStatus();
}

PlannedCall DrawCall(const LoadOptions& options, Random& random) {
  PlannedCall call;
  const double draw = random.Uniform();
  if (draw < options.everything_share) {
    call.kind = CallKind::kEverything;
  } else if (draw < options.everything_share + options.cancel_share) {
    call.kind = CallKind::kCancelledClick;
    call.abort_after = random.Exponential(options.cancel_after);
  } else if (draw < options.everything_share + options.cancel_share + options.stall_share) {
    call.kind = CallKind::kStalledClick;
    call.abort_after = options.stall_for;
  }
  call.x = static_cast<float>(kEdge + (1 - 2 * kEdge) * random.Uniform());
  call.y = static_cast<float>(kEdge + (1 - 2 * kEdge) * random.Uniform());
  return call;
}

PlannedSession OpenSession(const LoadOptions& options, absl::Duration start, absl::Duration end,
                           Random random) {
  PlannedSession session{.start = start};
  absl::Duration at = start + options.upload_allowance;
  for (int i = 0; i < options.clicks_per_session; ++i) {
    at += random.Exponential(options.think_time);
    if (at >= end) break;
    session.calls.push_back(DrawCall(options, random));
    session.calls.back().at = at;
  }
  session.end = std::min(at + random.Exponential(options.think_time), end);
  return session;
}

PlannedSession ClosedSession(const LoadOptions& options, Random random) {
  PlannedSession session;
  for (int i = 0; i < kClosedCalls; ++i) {
    session.calls.push_back(DrawCall(options, random));
    session.calls.back().at = random.Exponential(options.think_time);
  }
  return session;
}

}  // namespace

const char* CallKindName(CallKind kind) {
  switch (kind) {
    case CallKind::kCreate:
      return "create";
    case CallKind::kUpload:
      return "upload";
    case CallKind::kClick:
      return "click";
    case CallKind::kCancelledClick:
      return "cancelled_click";
    case CallKind::kStalledClick:
      return "stalled_click";
    case CallKind::kEverything:
      return "everything";
    case CallKind::kDelete:
      return "delete";
  }
  return "";
}

absl::Status LoadOptions::Validate() const {
  if (!(sessions_per_s > 0 && sessions_per_s <= kMaxSessionsPerS)) {
    return InvalidField("sessions_per_s",
                        absl::StrCat("must be above 0 and at most ", kMaxSessionsPerS));
  }
  if (!(everything_share + cancel_share + stall_share <= 1)) {
    return InvalidField("everything_share", "is above 1 together with the other shares");
  }
  for (const absl::Status& status :
       {CheckCount("sessions", sessions, kMaxSessions),
        CheckCount("clicks_per_session", clicks_per_session, kMaxClicksPerSession),
        CheckTime("think_time", think_time, /*may_be_zero=*/closed_loop),
        CheckTime("upload_allowance", upload_allowance, /*may_be_zero=*/true),
        CheckTime("warmup", warmup, /*may_be_zero=*/true),
        CheckTime("duration", duration, /*may_be_zero=*/false),
        CheckShare("everything_share", everything_share), CheckShare("cancel_share", cancel_share),
        CheckShare("stall_share", stall_share),
        CheckTime("cancel_after", cancel_after, /*may_be_zero=*/true),
        CheckTime("stall_for", stall_for, /*may_be_zero=*/false),
        CheckCount("max_in_flight", max_in_flight, kMaxInFlight),
        CheckCount("max_attempts", max_attempts, kMaxAttempts)}) {
    if (!status.ok()) return status;
  }
  const double calls = closed_loop ? static_cast<double>(sessions) * kClosedCalls
                                   : sessions_per_s * absl::ToDoubleSeconds(warmup + duration) *
                                         (clicks_per_session + 3.0);
  if (calls > kMaxPlannedCalls) {
    return InvalidField(closed_loop ? "sessions" : "duration",
                        absl::StrCat("makes a plan of ", std::round(calls), " calls; at most ",
                                     kMaxPlannedCalls, " are possible"));
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadPlan> MakePlan(const LoadOptions& options) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  // A session draws from a sequence of its own, so that its clicks do not move the
  // arrivals.
  const auto session_random = [&options](size_t index) {
    return Random(options.seed + (index + 1) * kSessionStride);
  };
  LoadPlan plan;
  if (options.closed_loop) {
    for (int i = 0; i < options.sessions; ++i) {
      plan.sessions.push_back(ClosedSession(options, session_random(i)));
    }
    return plan;
  }
  Random arrivals(options.seed);
  const absl::Duration mean_gap = absl::Seconds(1 / options.sessions_per_s);
  const absl::Duration end = options.warmup + options.duration;
  for (absl::Duration at = arrivals.Exponential(mean_gap); at < end;
       at += arrivals.Exponential(mean_gap)) {
    plan.sessions.push_back(OpenSession(options, at, end, session_random(plan.sessions.size())));
  }
  return plan;
}

}  // namespace semsam::load
