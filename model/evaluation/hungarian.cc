#include "model/evaluation/hungarian.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Assigns rows one by one; there are no more rows than columns. Reduced costs,
// cost - row price - column price, are never negative and 0 on assigned pairs.
class AssignmentSolver {
 public:
  AssignmentSolver(std::span<const double> cost, int rows, int cols)
      : cost_(cost),
        cols_(cols),
        row_price_(rows),
        col_price_(cols),
        col_of_row_(rows, -1),
        row_of_col_(cols, -1) {}

  // False where `row` cannot be assigned.
  bool AddRow(int row) {
    const std::optional<int> sink = FindPath(row);
    if (!sink) return false;
    UpdatePrices(row);
    Augment(row, *sink);
    return true;
  }

  const std::vector<int>& col_of_row() const { return col_of_row_; }

 private:
  // Dijkstra over columns from `start` to a free column, which is returned.
  std::optional<int> FindPath(int start) {
    distance_.assign(cols_, kInfinity);
    came_from_.assign(cols_, -1);
    settled_.assign(cols_, false);
    length_ = 0;
    int row = start;
    while (true) {
      const double* cost = cost_.data() + static_cast<size_t>(row) * cols_;
      int nearest = -1;
      for (int col = 0; col < cols_; ++col) {
        if (settled_[col]) continue;
        const double through = length_ + cost[col] - row_price_[row] - col_price_[col];
        if (through < distance_[col]) {
          distance_[col] = through;
          came_from_[col] = row;
        }
        const double best = nearest < 0 ? kInfinity : distance_[nearest];
        // Among equals a free column ends the search.
        if (distance_[col] < best || (nearest >= 0 && distance_[col] == best &&
                                      row_of_col_[col] < 0 && row_of_col_[nearest] >= 0)) {
          nearest = col;
        }
      }
      if (nearest < 0) return std::nullopt;
      length_ = distance_[nearest];
      settled_[nearest] = true;
      if (row_of_col_[nearest] < 0) return nearest;
      row = row_of_col_[nearest];
    }
  }

  void UpdatePrices(int start) {
    row_price_[start] += length_;
    for (int col = 0; col < cols_; ++col) {
      if (!settled_[col]) continue;
      const double slack = length_ - distance_[col];
      if (row_of_col_[col] >= 0) row_price_[row_of_col_[col]] += slack;
      col_price_[col] -= slack;
    }
  }

  void Augment(int start, int sink) {
    for (int col = sink; col >= 0;) {
      const int row = came_from_[col];
      const int before = col_of_row_[row];
      row_of_col_[col] = row;
      col_of_row_[row] = col;
      col = row == start ? -1 : before;
    }
  }

  const std::span<const double> cost_;
  const int cols_;
  std::vector<double> row_price_, col_price_;
  std::vector<int> col_of_row_, row_of_col_;
  // Of the search for the current row.
  std::vector<double> distance_;
  std::vector<int> came_from_;
  std::vector<bool> settled_;
  double length_ = 0;
};

absl::Status CheckCosts(std::span<const double> cost, int rows, int cols) {
  if (rows < 0 || cols < 0 || cost.size() != static_cast<uint64_t>(rows) * cols) {
    return absl::InvalidArgumentError(
        absl::StrCat(cost.size(), " costs for ", rows, " x ", cols, " pairs"));
  }
  for (size_t i = 0; i < cost.size(); ++i) {
    if (std::isnan(cost[i]) || cost[i] == -kInfinity) {
      return absl::InvalidArgumentError(
          absl::StrCat("the cost of row ", i / cols, ", column ", i % cols, " is ", cost[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<int>> SolveAssignment(std::span<const double> cost, int rows, int cols) {
  if (absl::Status status = CheckCosts(cost, rows, cols); !status.ok()) return status;
  const bool transpose = rows > cols;
  std::vector<double> transposed;
  if (transpose) {
    transposed.resize(cost.size());
    for (size_t i = 0; i < cost.size(); ++i) transposed[i % cols * rows + i / cols] = cost[i];
    cost = transposed;
  }
  const int few = transpose ? cols : rows;
  const int many = transpose ? rows : cols;
  AssignmentSolver solver(cost, few, many);
  for (int row = 0; row < few; ++row) {
    if (!solver.AddRow(row)) {
      return absl::FailedPreconditionError("the forbidden pairs leave no assignment");
    }
  }
  if (!transpose) return solver.col_of_row();
  std::vector<int> col_of_row(rows, -1);
  for (int col = 0; col < cols; ++col) col_of_row[solver.col_of_row()[col]] = col;
  return col_of_row;
}

}  // namespace semsam
