#include "model/evaluation/hungarian.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "tests/support/npy.h"

namespace semsam {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double CostOf(std::span<const double> cost, int cols, const std::vector<int>& col_of_row) {
  double sum = 0;
  for (size_t row = 0; row < col_of_row.size(); ++row) {
    if (col_of_row[row] >= 0) sum += cost[row * cols + col_of_row[row]];
  }
  return sum;
}

// The least cost, by trying every assignment of the smaller side.
double LeastCost(std::span<const double> cost, int rows, int cols) {
  const int few = std::min(rows, cols), many = std::max(rows, cols);
  std::vector<int> places(many);
  std::iota(places.begin(), places.end(), 0);
  double least = kInfinity;
  do {
    double sum = 0;
    for (int i = 0; i < few; ++i) {
      sum += rows <= cols ? cost[i * cols + places[i]] : cost[places[i] * cols + i];
    }
    least = std::min(least, sum);
  } while (std::next_permutation(places.begin(), places.end()));
  return least;
}

void ExpectAssignsSmallerSide(const std::vector<int>& col_of_row, int rows, int cols) {
  ASSERT_EQ(col_of_row.size(), rows);
  std::vector<int> used;
  for (const int col : col_of_row) {
    if (col >= 0) used.push_back(col);
  }
  EXPECT_EQ(used.size(), std::min(rows, cols));
  std::sort(used.begin(), used.end());
  EXPECT_EQ(std::adjacent_find(used.begin(), used.end()), used.end());
  if (!used.empty()) {
    EXPECT_LT(used.back(), cols);
  }
}

TEST(Hungarian, FindsTheLeastCostOfEverySmallShape) {
  std::mt19937 random(1);
  for (int rows = 1; rows <= 6; ++rows) {
    for (int cols = 1; cols <= 6; ++cols) {
      for (int trial = 0; trial < 20; ++trial) {
        std::vector<double> cost(rows * cols);
        // Few distinct values on odd trials: ties everywhere.
        for (double& c : cost) {
          c = trial % 2 ? static_cast<double>(random() % 3) : random() % 2001 / 100.0 - 10;
        }
        const auto assigned = SolveAssignment(cost, rows, cols);
        ASSERT_TRUE(assigned.ok()) << assigned.status();
        ExpectAssignsSmallerSide(*assigned, rows, cols);
        EXPECT_NEAR(CostOf(cost, cols, *assigned), LeastCost(cost, rows, cols), 1e-9);
      }
    }
  }
}

TEST(Hungarian, AvoidsForbiddenPairs) {
  const std::vector<double> cost = {1, kInfinity, 2, kInfinity, kInfinity, 3, 4, 5, kInfinity};
  const auto assigned = SolveAssignment(cost, 3, 3);
  ASSERT_TRUE(assigned.ok()) << assigned.status();
  EXPECT_EQ(*assigned, (std::vector<int>{0, 2, 1}));
}

TEST(Hungarian, SaysWhereNothingIsAllowed) {
  EXPECT_EQ(SolveAssignment(std::vector<double>{1, kInfinity, 2, kInfinity}, 2, 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Hungarian, RefusesCostsThatAreNone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {nan, -kInfinity}) {
    const auto assigned = SolveAssignment(std::vector<double>{1, 2, bad, 4}, 2, 2);
    EXPECT_EQ(assigned.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(assigned.status().message().find("row 1, column 0"), absl::string_view::npos);
  }
  EXPECT_FALSE(SolveAssignment(std::vector<double>{1, 2, 3}, 2, 2).ok());
  EXPECT_FALSE(SolveAssignment(std::vector<double>{}, -1, 0).ok());
}

TEST(Hungarian, AssignsNothingToNothing) {
  EXPECT_EQ(*SolveAssignment({}, 0, 3), std::vector<int>{});
  EXPECT_EQ(*SolveAssignment({}, 2, 0), (std::vector<int>{-1, -1}));
}

TEST(Hungarian, StaysExactOnLargeMatrices) {
  // The identity is the only best assignment: elsewhere every cost is higher.
  constexpr int kSize = 300;
  std::mt19937 random(2);
  std::vector<int> places(kSize);
  std::iota(places.begin(), places.end(), 0);
  std::shuffle(places.begin(), places.end(), random);
  std::vector<double> cost(kSize * kSize);
  for (double& c : cost) c = 1.0 + random() % 1000;
  for (int row = 0; row < kSize; ++row) cost[row * kSize + places[row]] = 0.5;
  EXPECT_EQ(*SolveAssignment(cost, kSize, kSize), places);
}

TEST(Hungarian, MatchesTheTrainersAssignment) {
  const std::string path = SEMSAM_PARITY_DIR "/crit/D.npy";
  if (!testing::FileExists(path)) GTEST_SKIP() << "the numeric reference is not here: " << path;
  const auto golden = testing::ReadNpy<float>(path);
  ASSERT_EQ(golden.shape, (std::vector<int64_t>{24, 11}));
  const std::vector<double> cost(golden.data.begin(), golden.data.end());
  const auto assigned = SolveAssignment(cost, 24, 11);
  ASSERT_TRUE(assigned.ok()) << assigned.status();
  // crit/criterion.json: assignment_rows and assignment_cols of scipy.
  const std::vector<int> rows = {2, 3, 4, 6, 9, 12, 15, 17, 19, 20, 23};
  const std::vector<int> cols = {1, 2, 0, 3, 4, 6, 7, 5, 9, 10, 8};
  std::vector<int> expected(24, -1);
  for (size_t i = 0; i < rows.size(); ++i) expected[rows[i]] = cols[i];
  EXPECT_EQ(*assigned, expected);
}

}  // namespace
}  // namespace semsam
