// The figures of interactive evaluation, gathered prompt by prompt.
//
// Merging and order do not change the result. Not thread-safe.
#ifndef SEMSAM_MODEL_EVALUATION_INTERACTIVE_REPORT_H_
#define SEMSAM_MODEL_EVALUATION_INTERACTIVE_REPORT_H_

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/evaluation/exact_mean.h"
#include "model/evaluation/label_accuracy.h"
#include "model/evaluation/report.h"

namespace semsam {

// Of the clicks on targets of one category.
struct CategoryTally {
  ExactMean point_max;
  ExactMean point_oracle;
  ExactMean distinct_masks;  // a number
  ExactMean three_masks;     // share of clicks with at least three distinct masks

  void Merge(const CategoryTally& other);
};

struct InteractiveTally {
  ExactMean point_max;        // a click
  ExactMean point_oracle;     // a click
  ExactMean all_granularity;  // a pair of click and true mask
  ExactMean box_max;          // a box
  ExactMean box_oracle;       // a box
  ExactMean distinct_masks;   // a click; a number, not a share
  ExactMean granularity;      // a click: true masks that it was matched with; a number
  // By EvaluationTarget::category, those that have one.
  std::map<std::string, CategoryTally> categories;
  // Of the mask with the best IoU of each click on a target whose label is known.
  LabelAccumulator labels;

  void Merge(const InteractiveTally& other);
};

// By set, predictor and kind of click.
class InteractiveReport {
 public:
  InteractiveReport(std::vector<std::string> predictors, std::vector<std::string> click_kinds);

  InteractiveTally& tally(const std::string& set, size_t predictor, size_t click_kind);

  // `other` has the same predictors and kinds.
  void Merge(const InteractiveReport& other);

  // The paper's tables 5, 6 and 8 side by side: a row for each set, kind of click and
  // predictor, sets by name; where there are several sets, at last all samples together.
  ReportTable Table() const;

  // The table's rows, with `set`, `clicks` and `predictor` in place of a name, and
  // `categories` by name.
  nlohmann::json Json() const;

 private:
  struct Row {
    std::string set;
    size_t click_kind = 0;
    size_t predictor = 0;
    InteractiveTally tally;
  };

  std::vector<Row> Rows() const;

  std::vector<std::string> predictors_;
  std::vector<std::string> click_kinds_;
  std::map<std::string, std::vector<InteractiveTally>> sets_;  // [kind, predictor]
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_INTERACTIVE_REPORT_H_
