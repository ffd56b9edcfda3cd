// Our metrics against what pycocotools 2.0.11 and panopticapi-lite 0.2.0 gave for a few
// random cases. frozen_cases.json was made by `compare_metrics.py --freeze`, which
// builds the cases, runs the two libraries (NumPy for mIoU) and writes both down; the
// test compare_metrics runs the libraries again on many more.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/model/evaluation/metric_cases.h"

namespace semsam {
namespace {

using nlohmann::json;

constexpr double kTolerance = 1e-9;  // the file holds 12 digits

// Compares numbers, nulls and what is made of them, naming where they differ.
void ExpectEqual(const json& actual, const json& expected, const std::string& at) {
  if (expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      ASSERT_TRUE(actual.contains(key)) << at << "." << key;
      ExpectEqual(actual[key], value, at + "." + key);
    }
  } else if (expected.is_array()) {
    ASSERT_EQ(actual.size(), expected.size()) << at;
    for (size_t i = 0; i < expected.size(); ++i) {
      ExpectEqual(actual[i], expected[i], at + "[" + std::to_string(i) + "]");
    }
  } else if (expected.is_null()) {
    EXPECT_TRUE(actual.is_null()) << at << " is " << actual;
  } else {
    ASSERT_TRUE(actual.is_number()) << at << " is " << actual;
    EXPECT_NEAR(actual.get<double>(), expected.get<double>(), kTolerance) << at;
  }
}

TEST(FrozenMetrics, AreThoseOfThePublishedLibraries) {
  std::ifstream file(SEMSAM_SOURCE_DIR "/tests/model/evaluation/frozen_cases.json");
  const json frozen = json::parse(file, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(frozen.is_array());
  std::map<std::string, int> seen;
  for (const json& entry : frozen) {
    const json& input = entry["case"];
    const absl::StatusOr<json> result = testing::MeasureCase(input);
    ASSERT_TRUE(result.ok()) << input["name"] << ": " << result.status();
    ExpectEqual(*result, entry["expected"], input["name"].get<std::string>());
    ++seen[input["metric"].get<std::string>()];
  }
  EXPECT_GE(seen["ap"], 4);
  EXPECT_GE(seen["pq"], 2);
  EXPECT_GE(seen["miou"], 1);
}

}  // namespace
}  // namespace semsam
