// Results as one table for people, in the form of the paper's (percent, one decimal),
// and as JSON for programs. Every number comes with the count of its samples; one
// without samples is "-" in the table and null in JSON.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_EVALUATION_REPORT_H_
#define SEMSAM_MODEL_EVALUATION_REPORT_H_

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "model/evaluation/average_precision.h"
#include "model/evaluation/exact_mean.h"
#include "model/evaluation/label_accuracy.h"
#include "model/evaluation/panoptic_quality.h"
#include "model/evaluation/semantic_iou.h"

namespace semsam {

enum class FigureUnit {
  kShare,   // of 1; printed in percent
  kNumber,  // printed as it is
};

struct ReportColumn {
  std::string key;   // in JSON
  std::string name;  // in the table
  FigureUnit unit = FigureUnit::kShare;
};

struct ReportRow {
  std::string name;
  std::vector<Figure> figures;  // by column; missing ones are without samples
};

struct ReportTable {
  std::string title;
  std::string rows_are;  // heading of the first column: "Set", "Method"
  std::vector<ReportColumn> columns;
  std::vector<ReportRow> rows;
};

// Aligned text, one line a row, each line ended. Names are cut at 60 characters.
std::string FormatTable(const ReportTable& table);

// {"title": ..., "rows": [{"name": ..., key: {"value": 0.545, "count": 1203}, ...}]}.
// Text that is not UTF-8 is mended.
nlohmann::json ToJson(const ReportTable& table);
nlohmann::json ToJson(const Figure& figure);

// `text` with bytes that are no UTF-8 replaced: JSON cannot hold them.
std::string WellFormed(const std::string& text);

// The columns PQ, mIoU, AP of boxes and masks and so on of the paper's tables 3 and 4.
// A result that is null leaves its columns without samples.
ReportTable SegmentationTable(const std::string& name, const PanopticResult* panoptic,
                              const SemanticResult* semantic, const ApResult* boxes,
                              const ApResult* masks);

// Everything that a result holds, classes included. `class_names` by id; an id without
// one is named by its number.
using ClassNames = std::map<int64_t, std::string>;
nlohmann::json ToJson(const ApResult& result, const ClassNames& class_names);
nlohmann::json ToJson(const PanopticResult& result, const ClassNames& class_names);
nlohmann::json ToJson(const SemanticResult& result, const ClassNames& class_names);

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_REPORT_H_
