#include "model/evaluation/interactive_report.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr char kAllSets[] = "all";

struct Column {
  const char* key;
  const char* name;
  FigureUnit unit;
  Figure (*figure)(const InteractiveTally&);
};

constexpr Column kColumns[] = {
    {"point_max", "Point (Max)", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.point_max.figure(); }},
    {"point_oracle", "Point (Oracle)", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.point_oracle.figure(); }},
    {"all_granularity", "All Granularity", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.all_granularity.figure(); }},
    {"box_max", "Box", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.box_max.figure(); }},
    {"box_oracle", "Box (Oracle)", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.box_oracle.figure(); }},
    {"object_top1", "Object top-1", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.labels.Result(LabelHead::kObject).top1; }},
    {"object_top5", "top-5", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.labels.Result(LabelHead::kObject).top5; }},
    {"part_top1", "Part top-1", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.labels.Result(LabelHead::kPart).top1; }},
    {"part_top5", "top-5", FigureUnit::kShare,
     [](const InteractiveTally& tally) { return tally.labels.Result(LabelHead::kPart).top5; }},
    {"distinct_masks", "Masks a click", FigureUnit::kNumber,
     [](const InteractiveTally& tally) { return tally.distinct_masks.figure(); }},
    {"granularity", "True masks", FigureUnit::kNumber,
     [](const InteractiveTally& tally) { return tally.granularity.figure(); }},
};

nlohmann::json CategoriesToJson(const std::map<std::string, CategoryTally>& categories) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, tally] : categories) {
    json[WellFormed(name)] = {{"point_max", ToJson(tally.point_max.figure())},
                              {"point_oracle", ToJson(tally.point_oracle.figure())},
                              {"distinct_masks", ToJson(tally.distinct_masks.figure())},
                              {"three_masks", ToJson(tally.three_masks.figure())}};
  }
  return json;
}

}  // namespace

void CategoryTally::Merge(const CategoryTally& other) {
  point_max.Merge(other.point_max);
  point_oracle.Merge(other.point_oracle);
  distinct_masks.Merge(other.distinct_masks);
  three_masks.Merge(other.three_masks);
}

void InteractiveTally::Merge(const InteractiveTally& other) {
  point_max.Merge(other.point_max);
  point_oracle.Merge(other.point_oracle);
  all_granularity.Merge(other.all_granularity);
  box_max.Merge(other.box_max);
  box_oracle.Merge(other.box_oracle);
  distinct_masks.Merge(other.distinct_masks);
  granularity.Merge(other.granularity);
  for (const auto& [name, tally] : other.categories) categories[name].Merge(tally);
  labels.Merge(other.labels);
}

InteractiveReport::InteractiveReport(std::vector<std::string> predictors,
                                     std::vector<std::string> click_kinds)
    : predictors_(std::move(predictors)), click_kinds_(std::move(click_kinds)) {}

InteractiveTally& InteractiveReport::tally(const std::string& set, size_t predictor,
                                           size_t click_kind) {
  std::vector<InteractiveTally>& tallies = sets_[set];
  tallies.resize(predictors_.size() * click_kinds_.size());
  return tallies[click_kind * predictors_.size() + predictor];
}

void InteractiveReport::Merge(const InteractiveReport& other) {
  for (const auto& [set, tallies] : other.sets_) {
    std::vector<InteractiveTally>& ours = sets_[set];
    ours.resize(tallies.size());
    for (size_t i = 0; i < tallies.size(); ++i) ours[i].Merge(tallies[i]);
  }
}

std::vector<InteractiveReport::Row> InteractiveReport::Rows() const {
  std::vector<Row> rows;
  const size_t rows_a_set = predictors_.size() * click_kinds_.size();
  std::vector<InteractiveTally> together(rows_a_set);
  const auto add = [&](const std::string& set, const std::vector<InteractiveTally>& tallies) {
    for (size_t i = 0; i < tallies.size(); ++i) {
      rows.push_back({.set = set,
                      .click_kind = i / predictors_.size(),
                      .predictor = i % predictors_.size(),
                      .tally = tallies[i]});
    }
  };
  for (const auto& [set, tallies] : sets_) {
    add(set, tallies);
    for (size_t i = 0; i < tallies.size(); ++i) together[i].Merge(tallies[i]);
  }
  if (sets_.size() > 1) add(kAllSets, together);
  return rows;
}

ReportTable InteractiveReport::Table() const {
  ReportTable table{.title = "1-IoU of one prompt, percent (samples)",
                    .rows_are = "Set, clicks, method"};
  for (const Column& column : kColumns) {
    table.columns.push_back({.key = column.key, .name = column.name, .unit = column.unit});
  }
  for (const Row& row : Rows()) {
    ReportRow line{.name = absl::StrCat(row.set, ", ", click_kinds_[row.click_kind], ", ",
                                        predictors_[row.predictor])};
    for (const Column& column : kColumns) line.figures.push_back(column.figure(row.tally));
    table.rows.push_back(std::move(line));
  }
  return table;
}

nlohmann::json InteractiveReport::Json() const {
  nlohmann::json json = ToJson(Table());
  const std::vector<Row> rows = Rows();
  for (size_t i = 0; i < rows.size(); ++i) {
    nlohmann::json& row = json["rows"][i];
    row.erase("name");
    row["set"] = WellFormed(rows[i].set);
    row["clicks"] = WellFormed(click_kinds_[rows[i].click_kind]);
    row["predictor"] = WellFormed(predictors_[rows[i].predictor]);
    row["categories"] = CategoriesToJson(rows[i].tally.categories);
  }
  return json;
}

}  // namespace semsam
