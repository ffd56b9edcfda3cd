// What a load test will ask, laid down before it asks anything.
//
// Open loop: sessions begin as a Poisson process, whatever the server makes of
// them. In a session a picture is uploaded, and clicks follow at times drawn
// beforehand too; so a slow server meets the same clicks as a fast one, and no
// latency goes missing because a call was never due.
// Closed loop: a fixed number of sessions, each of which clicks again (after a
// think time) when its last click is answered: how much work the server can do.
//
// The same options give the same plan on every machine.
#ifndef SEMSAM_CLIENT_LOAD_LOAD_PLAN_H_
#define SEMSAM_CLIENT_LOAD_LOAD_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace semsam::load {

enum class CallKind {
  kCreate,
  kUpload,
  kClick,
  kCancelledClick,  // the client loses interest
  kStalledClick,    // the client stops reading after the first message
  kEverything,
  kDelete,
};
inline constexpr int kCallKinds = 7;

// "create", "upload", "click", "cancelled_click", ...
const char* CallKindName(CallKind kind);

struct LoadOptions {
  // Closed loop of `sessions`; else open loop of `sessions_per_s`.
  bool closed_loop = false;
  int sessions = 64;
  double sessions_per_s = 1;
  int clicks_per_session = 10;                   // open loop
  absl::Duration think_time = absl::Seconds(1);  // mean between two clicks, exponential
  // Open loop: how long a user expects the upload to take. The first click is due
  // a think time after that.
  absl::Duration upload_allowance = absl::ZeroDuration();

  // Not counted: caches fill, and sessions of all ages come to be. A closed loop
  // is counted from when all its pictures are there.
  absl::Duration warmup = absl::Seconds(10);
  absl::Duration duration = absl::Seconds(60);

  // Of the clicks, 0 to 1; together 1 at most.
  double everything_share = 0;
  double cancel_share = 0;
  double stall_share = 0;
  absl::Duration cancel_after = absl::Milliseconds(20);  // mean, exponential
  absl::Duration stall_for = absl::Seconds(5);

  int max_in_flight = 1024;  // calls; the others wait, and count as late
  // Of one call, while refusals name a time to come back or say UNAVAILABLE.
  int max_attempts = 1;
  uint64_t seed = 1;

  // OK, or INVALID_ARGUMENT that names the member.
  absl::Status Validate() const;
};

struct PlannedCall {
  // Open loop: since the start of the run. Closed loop: since the answer before.
  absl::Duration at;
  CallKind kind = CallKind::kClick;
  float x = 0;  // share of the picture's width, 0 to 1
  float y = 0;  // of its height
  // After its start, where the client is to end the call; else infinite.
  absl::Duration abort_after = absl::InfiniteDuration();
};

struct PlannedSession {
  absl::Duration start;  // since the start of the run
  // Open loop: by `at`. Closed loop: begins again when it is at its end.
  std::vector<PlannedCall> calls;
  absl::Duration end;  // open loop: when the client deletes it
};

struct LoadPlan {
  std::vector<PlannedSession> sessions;  // by `start`
};

// INVALID_ARGUMENT for bad options, or for more calls than memory should hold.
absl::StatusOr<LoadPlan> MakePlan(const LoadOptions& options);

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_LOAD_PLAN_H_
