#include "client/load/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "client/load/plot.h"

namespace semsam::load {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Clicks of 1 to 100 ms, of which one failed, and sessions that all began well.
LoadResults Results() {
  LoadResults results;
  results.counted = absl::Seconds(20);
  results.sessions = 10;
  results.sessions_ready = 10;
  KindResults& creates = results.of(CallKind::kCreate);
  creates.due = creates.ok = creates.ok_in_time = creates.outcomes["OK"] = 10;
  for (int i = 0; i < 10; ++i) creates.latency.Record(absl::Milliseconds(2));
  KindResults& clicks = results.of(CallKind::kClick);
  clicks.due = 103;
  clicks.ok = clicks.outcomes["OK"] = 100;
  clicks.ok_in_time = 90;
  clicks.failed = clicks.outcomes["RESOURCE_EXHAUSTED QUEUE_FULL"] = 1;
  clicks.never_started = 2;
  clicks.late = 7;
  for (int i = 1; i <= 100; ++i) {
    clicks.latency.Record(absl::Milliseconds(i));
    clicks.service.Record(absl::Milliseconds(1));
  }
  clicks.failure.Record(absl::Microseconds(300));
  results.first_failure = absl::ResourceExhaustedError("click: full");
  results.generator_lag.Record(absl::Microseconds(80));
  results.due_by_bin = {50, 63};
  results.ok_by_bin = {40, 70};
  return results;
}

LoadReport Report() {
  LoadReport report = MakeReport({.sessions_per_s = 0.5}, Results());
  report.label = "one <two>";
  report.server["model"] = "swin-t";
  return report;
}

TEST(LoadResultsTest, AServerCannotInventOutcomesWithoutEnd) {
  KindResults results;
  for (int code = 0; code < 1000; ++code) {
    results.CountOutcome(absl::Status(static_cast<absl::StatusCode>(code % 17), ""));
  }
  EXPECT_EQ(results.outcomes.size(), 17);
  for (int i = 0; i < 100; ++i) results.outcomes.emplace(std::to_string(i), 1);
  const size_t before = results.outcomes.size();
  results.outcomes.erase("ABORTED");
  results.CountOutcome(absl::AbortedError(""));
  results.CountOutcome(absl::InternalError(""));
  EXPECT_EQ(results.outcomes.size(), before) << "one gone, and `other` come";
  EXPECT_EQ(results.outcomes.at("other"), 1);
}

TEST(LoadReportTest, RatesAreThoseOfTheCountedPart) {
  const LoadReport report = Report();
  ASSERT_EQ(report.kinds.size(), 2) << "kinds without calls are left out";
  const KindReport& clicks = report.kinds.at("click");
  EXPECT_DOUBLE_EQ(clicks.asked_per_s, 103.0 / 20);
  EXPECT_DOUBLE_EQ(clicks.achieved_per_s, 90.0 / 20);
  EXPECT_NEAR(clicks.latency.Percentile(50), 50, 50.0 / 128);
  EXPECT_NEAR(clicks.latency.Percentile(99), 99, 99.0 / 128);
  EXPECT_DOUBLE_EQ(clicks.latency.Percentile(100), 100);
  EXPECT_DOUBLE_EQ(clicks.service.Percentile(99), 1);
  EXPECT_EQ(report.lost(), 3);
}

TEST(LoadReportTest, JsonHoldsAllOfIt) {
  const LoadReport report = Report();
  const nlohmann::json json = ToJson(report);
  EXPECT_EQ(json["calls"]["click"]["outcomes"]["RESOURCE_EXHAUSTED QUEUE_FULL"], 1);
  EXPECT_EQ(json["calls"]["click"]["latency_ms"]["max"], 100);
  EXPECT_EQ(json["lost"], 3);
  EXPECT_EQ(json["options"]["sessions_per_s"], 0.5);
  const auto parsed = ParseReport(json.dump());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(ToJson(*parsed), json);
  EXPECT_EQ(Table(*parsed), Table(report));
}

TEST(LoadReportTest, AReportWithoutAnyCallIsOneToo) {
  const LoadReport report = MakeReport({.closed_loop = true}, LoadResults{});
  const auto parsed = ParseReport(ToJson(report).dump());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->kinds.empty());
  EXPECT_THAT(Table(*parsed), HasSubstr("0 of 0"));
  EXPECT_THAT(DrawPlot({*parsed}), HasSubstr("</svg>"));
}

TEST(LoadReportTest, WhatIsNoReportIsRefused) {
  nlohmann::json json = ToJson(Report());
  json["calls"]["click"].erase("late");
  for (const std::string& text : {std::string("{"), std::string("[]"), std::string("{}"),
                                  std::string(R"({"format": "semsam-load/9"})"), json.dump()}) {
    EXPECT_EQ(ParseReport(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(ParseReport(json.dump()).status().message()), HasSubstr("late"));
}

TEST(LoadReportTest, TheTableSaysWhatToDistrust) {
  LoadResults results = Results();
  std::string table = Table(MakeReport({}, results));
  EXPECT_THAT(table, HasSubstr("click: 1 ended with RESOURCE_EXHAUSTED QUEUE_FULL"));
  EXPECT_THAT(table, HasSubstr("2 calls never started"));
  EXPECT_THAT(table, HasSubstr("first failure: click: full"));
  EXPECT_THAT(table, Not(HasSubstr("the load test itself was late")));
  results.generator_lag.Record(absl::Milliseconds(40));
  table = Table(MakeReport({}, results));
  EXPECT_THAT(table, HasSubstr("the load test itself was late, p99 40.0 ms"));
}

TEST(LoadReportTest, AComparisonGivesRatiosAndWhatDiffers) {
  LoadResults slower = Results();
  for (int i = 0; i < 1000; ++i) {
    slower.of(CallKind::kClick).latency.Record(absl::Milliseconds(100));
  }
  const std::string text = Comparison(Report(), MakeReport({.sessions_per_s = 1}, slower));
  EXPECT_THAT(text, ::testing::ContainsRegex("click +p50 ms +50\\.[0-9]+ +100\\.00 +(1.99|2.00)"));
  EXPECT_THAT(text, ::testing::ContainsRegex("create +p99 ms +2\\.00 +2\\.00 +1\\.00"));
  EXPECT_THAT(text, HasSubstr("differs: sessions_per_s 0.5 and 1.0"));
  EXPECT_THAT(text, Not(HasSubstr("differs: seed")));
}

TEST(LoadPlotTest, EveryKindOfEveryReportHasALine) {
  LoadReport other = Report();
  other.label = "three";
  const std::string svg = DrawPlot({Report(), other});
  EXPECT_THAT(svg, HasSubstr("one &lt;two&gt;: click"));
  EXPECT_THAT(svg, HasSubstr("three: create"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  size_t lines = 0;
  for (size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 2 * (2 + 2)) << "two kinds, and calls due and answered";
}

}  // namespace
}  // namespace semsam::load
