// What a load test says: figures in one struct, as JSON, and as a table for people.
//
// Latencies are milliseconds, rates calls per second over the counted part.
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_LOAD_REPORT_H_
#define SEMSAM_CLIENT_LOAD_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/load/load_plan.h"
#include "client/load/load_results.h"
#include "nlohmann/json.hpp"

namespace semsam::load {

// Percentiles that a report holds; the last is the maximum.
inline constexpr double kReportedPercents[] = {10, 25, 50,   75,   90,    95,
                                               98, 99, 99.5, 99.9, 99.99, 100};

struct LatencySummary {
  int64_t count = 0;
  double mean_ms = 0;
  std::vector<double> at_ms;  // by kReportedPercents; empty without values

  // One of kReportedPercents; 0 without values.
  double Percentile(double percent) const;
};

struct KindReport {
  int64_t due = 0;
  int64_t ok = 0;
  int64_t abandoned = 0;
  int64_t failed = 0;
  int64_t skipped = 0;
  int64_t never_started = 0;
  int64_t late = 0;
  int64_t waited_for_upload = 0;
  int64_t retries = 0;
  double asked_per_s = 0;
  double achieved_per_s = 0;  // answers OK in the counted part
  std::map<std::string, int64_t> outcomes;
  LatencySummary latency;  // from when the call was due
  LatencySummary first_result;
  LatencySummary service;  // from when it was sent
  LatencySummary failure;
};

struct LoadReport {
  std::string label;
  // What was asked for, by the names of LoadOptions and of the program's flags, and what
  // the server says of itself; {} where unknown.
  nlohmann::json options = nlohmann::json::object();
  nlohmann::json server = nlohmann::json::object();
  double counted_s = 0;
  int64_t sessions = 0;
  int64_t sessions_ready = 0;
  std::string first_failure;
  std::map<std::string, KindReport> kinds;  // by CallKindName; those with calls
  LatencySummary generator_lag;
  double bin_s = 1;
  std::vector<int64_t> due_by_bin;
  std::vector<int64_t> ok_by_bin;

  // Of any kind: calls that failed, were skipped, or never started.
  int64_t lost() const;
};

nlohmann::json ToJson(const LoadOptions& options);
LatencySummary Summarize(const LatencyHistogram& histogram);
LoadReport MakeReport(const LoadOptions& options, const LoadResults& results);

nlohmann::json ToJson(const LoadReport& report);
// INVALID_ARGUMENT that says what is missing or of the wrong type. `text` is a file
// that a user names.
absl::StatusOr<LoadReport> ParseReport(const std::string& text);

// A table with a line a kind, and what a reader has to know beside it.
std::string Table(const LoadReport& report);

// Rates and latencies of both, with their ratio; options that differ.
std::string Comparison(const LoadReport& a, const LoadReport& b);

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_REPORT_H_
