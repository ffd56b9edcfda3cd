// Measures cases for compare_metrics.py: a JSON list of cases on standard input, a list
// of results on standard output. Ends with status 1 and a message at the first error.
#include <iostream>

#include "tests/model/evaluation/metric_cases.h"

int main() {
  try {
    const nlohmann::json cases = nlohmann::json::parse(std::cin);
    nlohmann::json results = nlohmann::json::array();
    for (const nlohmann::json& input : cases) {
      const auto result = semsam::testing::MeasureCase(input);
      if (!result.ok()) {
        std::cerr << input["name"] << ": " << result.status() << "\n";
        return 1;
      }
      results.push_back(*result);
    }
    std::cout << results << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
