// What a load test found out.
#ifndef SEMSAM_CLIENT_LOAD_LOAD_RESULTS_H_
#define SEMSAM_CLIENT_LOAD_LOAD_RESULTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/load/histogram.h"
#include "client/load/load_plan.h"

namespace semsam::load {

// Of the calls of one kind that were due in the counted part of the run. They add up:
// due = ok + abandoned + failed + skipped + never_started.
struct KindResults {
  int64_t due = 0;
  int64_t ok = 0;
  int64_t abandoned = 0;  // ended by the client, as planned
  int64_t failed = 0;     // any other end, after the last attempt
  int64_t skipped = 0;    // their session could not be made ready
  int64_t never_started =
      0;             // still waiting for a place in flight, or for their upload, at the end
  int64_t late = 0;  // waited for a place in flight
  int64_t waited_for_upload = 0;
  int64_t retries = 0;
  // Answers OK that came in the counted part, whenever their call was due.
  int64_t ok_in_time = 0;
  // Last attempts by "CODE" or "CODE REASON"; kMaxOutcomes at most, the rest as "other".
  std::map<std::string, int64_t> outcomes;

  // Of calls that ended well. From when the call was due, whatever it waited for: this
  // is what users see, and where a server that stalls shows.
  LatencyHistogram latency;
  LatencyHistogram first_result;  // the same up to the first mask
  LatencyHistogram service;       // from when it was sent
  LatencyHistogram failure;       // of failed ones: the last attempt, from when it was sent

  static constexpr size_t kMaxOutcomes = 64;
  void CountOutcome(const absl::Status& status);
};

struct LoadResults {
  std::array<KindResults, kCallKinds> kinds;
  const KindResults& of(CallKind kind) const { return kinds[static_cast<int>(kind)]; }
  KindResults& of(CallKind kind) { return kinds[static_cast<int>(kind)]; }

  absl::Duration counted = absl::ZeroDuration();  // length of the counted part
  // Of the whole run, warm-up included.
  int64_t sessions = 0;
  int64_t sessions_ready = 0;  // with their picture encoded
  absl::Status first_failure;  // of any call; OK if all went well
  // By how much the load test itself was late for calls that had a place: where this
  // is not small, its figures are its own and not the server's.
  LatencyHistogram generator_lag;

  // Calls due and answered OK in each `bin` of the run, warm-up included.
  absl::Duration bin = absl::Seconds(1);
  std::vector<int64_t> due_by_bin;
  std::vector<int64_t> ok_by_bin;
};

// "OK", "NOT_FOUND IMAGE_NOT_FOUND", "UNAVAILABLE", ...
std::string OutcomeName(const absl::Status& status);

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_LOAD_RESULTS_H_
