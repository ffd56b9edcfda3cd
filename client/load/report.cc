#include "client/load/report.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace semsam::load {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] = "semsam-load/1";
// Above this the load test's own lateness is worth a warning.
constexpr double kLagToMention_ms = 5;
// The counters of a kind, by their names in JSON.
constexpr std::pair<const char*, int64_t KindReport::*> kCounters[] = {
    {"due", &KindReport::due},
    {"ok", &KindReport::ok},
    {"abandoned", &KindReport::abandoned},
    {"failed", &KindReport::failed},
    {"skipped", &KindReport::skipped},
    {"never_started", &KindReport::never_started},
    {"late", &KindReport::late},
    {"waited_for_upload", &KindReport::waited_for_upload},
    {"retries", &KindReport::retries},
};
constexpr std::pair<const char*, LatencySummary KindReport::*> kLatencies[] = {
    {"latency_ms", &KindReport::latency},
    {"first_result_ms", &KindReport::first_result},
    {"service_ms", &KindReport::service},
    {"failure_ms", &KindReport::failure},
};

double ToMs(absl::Duration time) { return absl::ToDoubleMilliseconds(time); }

KindReport MakeKind(const KindResults& results, double counted_s) {
  KindReport report{.due = results.due,
                    .ok = results.ok,
                    .abandoned = results.abandoned,
                    .failed = results.failed,
                    .skipped = results.skipped,
                    .never_started = results.never_started,
                    .late = results.late,
                    .waited_for_upload = results.waited_for_upload,
                    .retries = results.retries,
                    .outcomes = results.outcomes,
                    .latency = Summarize(results.latency),
                    .first_result = Summarize(results.first_result),
                    .service = Summarize(results.service),
                    .failure = Summarize(results.failure)};
  if (counted_s > 0) {
    report.asked_per_s = static_cast<double>(results.due) / counted_s;
    report.achieved_per_s = static_cast<double>(results.ok_in_time) / counted_s;
  }
  return report;
}

std::string PercentName(double percent) {
  return percent == 100 ? "max" : absl::StrCat("p", percent);
}

Json ToJson(const LatencySummary& summary) {
  Json json = {{"count", summary.count}, {"mean", summary.mean_ms}};
  for (size_t i = 0; i < summary.at_ms.size(); ++i) {
    json[PercentName(kReportedPercents[i])] = summary.at_ms[i];
  }
  return json;
}

LatencySummary LatencyOf(const Json& json) {
  LatencySummary summary{.count = json.at("count").get<int64_t>(),
                         .mean_ms = json.at("mean").get<double>()};
  if (summary.count == 0) return summary;
  for (const double percent : kReportedPercents) {
    summary.at_ms.push_back(json.at(PercentName(percent)).get<double>());
  }
  return summary;
}

Json ToJson(const KindReport& kind) {
  Json json = {{"asked_per_s", kind.asked_per_s},
               {"achieved_per_s", kind.achieved_per_s},
               {"outcomes", kind.outcomes}};
  for (const auto& [name, member] : kCounters) json[name] = kind.*member;
  for (const auto& [name, member] : kLatencies) json[name] = ToJson(kind.*member);
  return json;
}

KindReport KindOf(const Json& json) {
  KindReport kind{.asked_per_s = json.at("asked_per_s").get<double>(),
                  .achieved_per_s = json.at("achieved_per_s").get<double>(),
                  .outcomes = json.at("outcomes").get<std::map<std::string, int64_t>>()};
  for (const auto& [name, member] : kCounters) kind.*member = json.at(name).get<int64_t>();
  for (const auto& [name, member] : kLatencies) kind.*member = LatencyOf(json.at(name));
  return kind;
}

LoadReport ReportOf(const Json& json) {
  LoadReport report{.label = json.at("label").get<std::string>(),
                    .options = json.at("options"),
                    .server = json.at("server"),
                    .counted_s = json.at("counted_s").get<double>(),
                    .sessions = json.at("sessions").get<int64_t>(),
                    .sessions_ready = json.at("sessions_ready").get<int64_t>(),
                    .first_failure = json.at("first_failure").get<std::string>(),
                    .generator_lag = LatencyOf(json.at("generator_lag_ms")),
                    .bin_s = json.at("bins").at("seconds").get<double>(),
                    .due_by_bin = json.at("bins").at("due").get<std::vector<int64_t>>(),
                    .ok_by_bin = json.at("bins").at("ok").get<std::vector<int64_t>>()};
  for (const auto& [name, kind] : json.at("calls").items()) report.kinds[name] = KindOf(kind);
  return report;
}

// Kinds in the order of a session's life.
std::vector<std::pair<std::string, const KindReport*>> InOrder(const LoadReport& report) {
  std::vector<std::pair<std::string, const KindReport*>> kinds;
  for (int i = 0; i < kCallKinds; ++i) {
    const auto found = report.kinds.find(CallKindName(static_cast<CallKind>(i)));
    if (found != report.kinds.end()) kinds.emplace_back(found->first, &found->second);
  }
  return kinds;
}

std::string Ratio(double a, double b) {
  return a > 0 ? absl::StrFormat("%.2f", b / a) : std::string("-");
}

}  // namespace

double LatencySummary::Percentile(double percent) const {
  const auto* found =
      std::find(std::begin(kReportedPercents), std::end(kReportedPercents), percent);
  const size_t index = found - std::begin(kReportedPercents);
  return index < at_ms.size() ? at_ms[index] : 0;
}

int64_t LoadReport::lost() const {
  int64_t lost = 0;
  for (const auto& [name, kind] : kinds) lost += kind.failed + kind.skipped + kind.never_started;
  return lost;
}

Json ToJson(const LoadOptions& options) {
  Json json = {{"closed_loop", options.closed_loop},
               {"think_time", absl::ToDoubleSeconds(options.think_time)},
               {"warmup", absl::ToDoubleSeconds(options.warmup)},
               {"duration", absl::ToDoubleSeconds(options.duration)},
               {"everything_share", options.everything_share},
               {"cancel_share", options.cancel_share},
               {"stall_share", options.stall_share},
               {"cancel_after", absl::ToDoubleSeconds(options.cancel_after)},
               {"stall_for", absl::ToDoubleSeconds(options.stall_for)},
               {"max_in_flight", options.max_in_flight},
               {"max_attempts", options.max_attempts},
               {"seed", options.seed}};
  if (options.closed_loop) {
    json["sessions"] = options.sessions;
  } else {
    json["sessions_per_s"] = options.sessions_per_s;
    json["clicks_per_session"] = options.clicks_per_session;
    json["upload_allowance"] = absl::ToDoubleSeconds(options.upload_allowance);
  }
  return json;
}

LatencySummary Summarize(const LatencyHistogram& histogram) {
  LatencySummary summary{.count = histogram.count(), .mean_ms = ToMs(histogram.mean())};
  if (summary.count == 0) return summary;
  for (const double percent : kReportedPercents) {
    summary.at_ms.push_back(ToMs(histogram.Percentile(percent)));
  }
  return summary;
}

LoadReport MakeReport(const LoadOptions& options, const LoadResults& results) {
  LoadReport report{.options = ToJson(options),
                    .counted_s = absl::ToDoubleSeconds(results.counted),
                    .sessions = results.sessions,
                    .sessions_ready = results.sessions_ready,
                    .generator_lag = Summarize(results.generator_lag),
                    .bin_s = absl::ToDoubleSeconds(results.bin),
                    .due_by_bin = results.due_by_bin,
                    .ok_by_bin = results.ok_by_bin};
  if (!results.first_failure.ok()) {
    report.first_failure = std::string(results.first_failure.message());
  }
  for (int i = 0; i < kCallKinds; ++i) {
    const auto kind = static_cast<CallKind>(i);
    if (results.of(kind).due == 0) continue;
    report.kinds[CallKindName(kind)] = MakeKind(results.of(kind), report.counted_s);
  }
  return report;
}

Json ToJson(const LoadReport& report) {
  Json calls = Json::object();
  for (const auto& [name, kind] : report.kinds) calls[name] = ToJson(kind);
  return {
      {"format", kFormat},
      {"label", report.label},
      {"options", report.options},
      {"server", report.server},
      {"counted_s", report.counted_s},
      {"sessions", report.sessions},
      {"sessions_ready", report.sessions_ready},
      {"lost", report.lost()},
      {"first_failure", report.first_failure},
      {"calls", calls},
      {"generator_lag_ms", ToJson(report.generator_lag)},
      {"bins", {{"seconds", report.bin_s}, {"due", report.due_by_bin}, {"ok", report.ok_by_bin}}}};
}

absl::StatusOr<LoadReport> ParseReport(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (const Json& format = json.at("format"); format != kFormat) {
      return absl::InvalidArgumentError(
          absl::StrCat("its format is ", format.dump(), ", not \"", kFormat, "\""));
    }
    return ReportOf(json);
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("is no report of a load test: ", error.what()));
  }
}

std::string Table(const LoadReport& report) {
  std::string text =
      absl::StrFormat("%-15s %9s %9s %9s %9s %9s %9s %9s %7s %7s\n", "ms from when due", "asked/s",
                      "done/s", "p50", "p95", "p99", "max", "ok", "lost", "late");
  int64_t never_started = 0;
  for (const auto& [name, kind] : InOrder(report)) {
    const LatencySummary& latency = kind->latency;
    absl::StrAppendFormat(&text, "%-16s %9.2f %9.2f %9.2f %9.2f %9.2f %9.2f %9d %7d %7d\n", name,
                          kind->asked_per_s, kind->achieved_per_s, latency.Percentile(50),
                          latency.Percentile(95), latency.Percentile(99), latency.Percentile(100),
                          kind->ok, kind->failed + kind->skipped + kind->never_started, kind->late);
    never_started += kind->never_started;
  }
  for (const auto& [name, kind] : InOrder(report)) {
    for (const auto& [outcome, count] : kind->outcomes) {
      if (outcome != "OK") absl::StrAppend(&text, name, ": ", count, " ended with ", outcome, "\n");
    }
    if (kind->retries > 0) absl::StrAppend(&text, name, ": ", kind->retries, " retries\n");
    if (kind->waited_for_upload > 0) {
      absl::StrAppend(&text, name, ": ", kind->waited_for_upload, " waited for their upload\n");
    }
  }
  absl::StrAppend(&text, "sessions: ", report.sessions_ready, " of ", report.sessions,
                  " got their picture\n");
  if (!report.first_failure.empty()) {
    absl::StrAppend(&text, "first failure: ", report.first_failure, "\n");
  }
  if (never_started > 0) {
    absl::StrAppend(&text, "note: ", never_started,
                    " calls never started, so the latencies are those of the luckier ones\n");
  }
  if (report.generator_lag.Percentile(99) > kLagToMention_ms) {
    absl::StrAppendFormat(&text,
                          "note: the load test itself was late, p99 %.1f ms: give it more CPU, or "
                          "ask for less\n",
                          report.generator_lag.Percentile(99));
  }
  return text;
}

std::string Comparison(const LoadReport& a, const LoadReport& b) {
  std::string text = absl::StrFormat("%-16s %-12s %12s %12s %8s\n", "", "", "A", "B", "B/A");
  const auto line = [&text](const std::string& kind, const char* what, double of_a, double of_b) {
    absl::StrAppendFormat(&text, "%-16s %-12s %12.2f %12.2f %8s\n", kind, what, of_a, of_b,
                          Ratio(of_a, of_b));
  };
  for (const auto& [name, kind] : InOrder(a)) {
    const auto other = b.kinds.find(name);
    if (other == b.kinds.end()) continue;
    line(name, "asked/s", kind->asked_per_s, other->second.asked_per_s);
    line(name, "done/s", kind->achieved_per_s, other->second.achieved_per_s);
    for (const double percent : {50.0, 95.0, 99.0, 100.0}) {
      line(name, absl::StrCat(PercentName(percent), " ms").c_str(),
           kind->latency.Percentile(percent), other->second.latency.Percentile(percent));
    }
  }
  line("all", "lost", static_cast<double>(a.lost()), static_cast<double>(b.lost()));
  for (const auto& [name, value] : a.options.items()) {
    const Json& other = b.options.contains(name) ? b.options[name] : Json();
    if (value != other) {
      absl::StrAppend(&text, "differs: ", name, " ", value.dump(), " and ", other.dump(), "\n");
    }
  }
  return text;
}

}  // namespace semsam::load
