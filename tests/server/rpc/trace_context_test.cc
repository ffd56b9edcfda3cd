#include "server/rpc/trace_context.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kParent[] = "00f067aa0ba902b7";

std::string TraceParent(const std::string& version = "00", const std::string& trace = kTrace,
                        const std::string& parent = kParent, const std::string& flags = "01") {
  return absl::StrCat(version, "-", trace, "-", parent, "-", flags);
}

TEST(TraceContextTest, AGoodHeaderIsTakenApart) {
  const auto trace = ParseTraceParent(TraceParent());
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, kTrace);
  EXPECT_EQ(trace->parent_id, kParent);
  EXPECT_EQ(trace->flags, "01");
  EXPECT_EQ(trace->span_id.size(), 16);
  EXPECT_NE(trace->span_id, kParent);
  EXPECT_EQ(trace->Response(), absl::StrCat("00-", kTrace, "-", trace->span_id, "-01"));
  EXPECT_NE(ParseTraceParent(TraceParent())->span_id, trace->span_id);
}

TEST(TraceContextTest, ALaterVersionIsReadAsFarAsItIsKnown) {
  EXPECT_TRUE(ParseTraceParent(TraceParent("cc")).has_value());
  EXPECT_TRUE(ParseTraceParent(TraceParent("cc") + "-what-comes-then").has_value());
  EXPECT_FALSE(ParseTraceParent(TraceParent("cc") + ".what-comes-then").has_value());
}

TEST(TraceContextTest, WhatBreaksTheSpecificationIsIgnored) {
  const std::string bad[] = {
      "",
      "00",
      TraceParent("ff"),
      TraceParent("0g"),
      TraceParent("00", "4bf92f3577b34da6a3ce929d0e0e473"),   // a digit short
      TraceParent("00", "4BF92F3577B34DA6A3CE929D0E0E4736"),  // upper case
      TraceParent("00", std::string(32, '0')),                // no trace
      TraceParent("00", kTrace, std::string(16, '0')),        // no parent
      TraceParent("00", kTrace, "00f067aa0ba902bz"),          // no hexadecimal
      TraceParent("00", kTrace, kParent, "0"),                // a digit short
      TraceParent("00", kTrace, kParent, "xy"),               // no hexadecimal
      TraceParent() + "-01",                                  // too long for version 00
      TraceParent("cc") + "-" + std::string(1000, 'a'),       // too long for anybody
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7-01",
  };
  for (const std::string& header : bad) {
    EXPECT_FALSE(ParseTraceParent(header).has_value()) << header;
  }
}

}  // namespace
}  // namespace semsam
