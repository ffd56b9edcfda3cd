#include "model/evaluation/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace semsam {
namespace {

using nlohmann::json;

constexpr size_t kLongestName = 60;

std::string Cell(const Figure& figure, FigureUnit unit) {
  if (figure.count == 0 || !std::isfinite(figure.value)) return "-";
  const std::string number = unit == FigureUnit::kShare
                                 ? absl::StrFormat("%.1f", 100 * figure.value)
                                 : absl::StrFormat("%.2f", figure.value);
  return absl::StrCat(number, " (", figure.count, ")");
}

// Characters, of well-formed UTF-8.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Shortened(const std::string& name) {
  if (Width(name) <= kLongestName) return name;
  size_t end = 0;
  for (size_t seen = 0; end < name.size(); ++end) {
    if ((name[end] & 0xC0) != 0x80 && ++seen > kLongestName - 3) break;
  }
  return name.substr(0, end) + "...";
}

std::string NameOf(int64_t id, const ClassNames& names) {
  const auto it = names.find(id);
  return it == names.end() ? absl::StrCat(id) : WellFormed(it->second);
}

Figure Counted(double value, int64_t count) { return {.value = value, .count = count}; }

json MeansToJson(const PanopticMeans& means) {
  return {{"pq", ToJson(means.pq)}, {"sq", ToJson(means.sq)}, {"rq", ToJson(means.rq)}};
}

}  // namespace

std::string WellFormed(const std::string& text) {
  // dump() throws on other bytes unless told to replace them.
  const std::string quoted =
      json(text).dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
  return json::parse(quoted, nullptr, /*allow_exceptions=*/false).get<std::string>();
}

std::string FormatTable(const ReportTable& table) {
  std::vector<std::vector<std::string>> lines(table.rows.size() + 1);
  lines[0].push_back(table.rows_are);
  for (const ReportColumn& column : table.columns) lines[0].push_back(column.name);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const ReportRow& row = table.rows[i];
    lines[i + 1].push_back(Shortened(row.name));
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const Figure figure = c < row.figures.size() ? row.figures[c] : Figure{};
      lines[i + 1].push_back(Cell(figure, table.columns[c].unit));
    }
  }
  std::vector<size_t> widths(table.columns.size() + 1);
  for (const auto& line : lines) {
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], Width(line[c]));
  }
  std::string text;
  if (!table.title.empty()) absl::StrAppend(&text, table.title, "\n");
  for (const auto& line : lines) {
    for (size_t c = 0; c < line.size(); ++c) {
      const std::string space(widths[c] - Width(line[c]), ' ');
      // Names left, numbers right; no space at the end of a line.
      const bool last = c + 1 == line.size();
      absl::StrAppend(&text, c == 0 ? line[c] : absl::StrCat("  ", space, line[c]),
                      c == 0 && !last ? space : "", last ? "\n" : "");
    }
  }
  return text;
}

json ToJson(const Figure& figure) {
  json value;
  if (figure.count > 0 && std::isfinite(figure.value)) value = figure.value;
  return {{"value", value}, {"count", figure.count}};
}

json ToJson(const ReportTable& table) {
  json rows = json::array();
  for (const ReportRow& row : table.rows) {
    json object = {{"name", WellFormed(row.name)}};
    for (size_t c = 0; c < table.columns.size(); ++c) {
      object[table.columns[c].key] = ToJson(c < row.figures.size() ? row.figures[c] : Figure{});
    }
    rows.push_back(std::move(object));
  }
  return {{"title", WellFormed(table.title)}, {"rows", std::move(rows)}};
}

ReportTable SegmentationTable(const std::string& name, const PanopticResult* panoptic,
                              const SemanticResult* semantic, const ApResult* boxes,
                              const ApResult* masks) {
  ReportTable table{.rows_are = "Set"};
  ReportRow row{.name = name};
  const auto add = [&](const char* key, const char* title, const Figure& figure) {
    table.columns.push_back({.key = key, .name = title});
    row.figures.push_back(figure);
  };
  add("pq", "PQ", panoptic ? panoptic->all.pq : Figure{});
  add("pq_things", "PQ things", panoptic ? panoptic->things.pq : Figure{});
  add("pq_stuff", "PQ stuff", panoptic ? panoptic->stuff.pq : Figure{});
  add("miou", "mIoU", semantic ? semantic->mean_iou : Figure{});
  add("ap_box", "AP box", boxes ? boxes->ap : Figure{});
  add("ap_mask", "AP mask", masks ? masks->ap : Figure{});
  add("ap50_mask", "AP50 mask", masks ? masks->ap50 : Figure{});
  add("ap_small_box", "APs box", boxes ? boxes->ap_small : Figure{});
  add("ap_small_mask", "APs mask", masks ? masks->ap_small : Figure{});
  add("ap_medium_box", "APm box", boxes ? boxes->ap_medium : Figure{});
  add("ap_medium_mask", "APm mask", masks ? masks->ap_medium : Figure{});
  add("ap_large_box", "APl box", boxes ? boxes->ap_large : Figure{});
  add("ap_large_mask", "APl mask", masks ? masks->ap_large : Figure{});
  table.rows.push_back(std::move(row));
  return table;
}

json ToJson(const ApResult& result, const ClassNames& class_names) {
  json classes = json::array();
  for (const CategoryAp& category : result.categories) {
    const int64_t truths = category.truths[0];
    classes.push_back({{"id", category.category},
                       {"name", NameOf(category.category, class_names)},
                       {"detections", category.detections},
                       {"ap", ToJson(Counted(category.ap(), truths))},
                       {"ap50", ToJson(Counted(category.ap50(), truths))},
                       {"ap75", ToJson(Counted(category.ap75(), truths))}});
  }
  json recalls = json::array();
  for (const Figure& figure : result.ar) recalls.push_back(ToJson(figure));
  return {{"ap", ToJson(result.ap)},
          {"ap50", ToJson(result.ap50)},
          {"ap75", ToJson(result.ap75)},
          {"ap_small", ToJson(result.ap_small)},
          {"ap_medium", ToJson(result.ap_medium)},
          {"ap_large", ToJson(result.ap_large)},
          {"ar", std::move(recalls)},
          {"ar_small", ToJson(result.ar_small)},
          {"ar_medium", ToJson(result.ar_medium)},
          {"ar_large", ToJson(result.ar_large)},
          {"pictures", result.pictures},
          {"detections", result.detections},
          {"classes", std::move(classes)}};
}

json ToJson(const PanopticResult& result, const ClassNames& class_names) {
  json classes = json::array();
  for (const PanopticScores& scores : result.classes) {
    classes.push_back({{"id", scores.category},
                       {"name", NameOf(scores.category, class_names)},
                       {"is_thing", scores.is_thing},
                       {"true_positives", scores.true_positives},
                       {"false_positives", scores.false_positives},
                       {"false_negatives", scores.false_negatives},
                       {"pq", ToJson(scores.pq)},
                       {"sq", ToJson(scores.sq)},
                       {"rq", ToJson(scores.rq)}});
  }
  return {{"all", MeansToJson(result.all)},
          {"things", MeansToJson(result.things)},
          {"stuff", MeansToJson(result.stuff)},
          {"pictures", result.pictures},
          {"classes", std::move(classes)}};
}

json ToJson(const SemanticResult& result, const ClassNames& class_names) {
  json classes = json::array();
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const int64_t id = static_cast<int64_t>(i);
    classes.push_back({{"id", id},
                       {"name", NameOf(id, class_names)},
                       {"iou", ToJson(result.classes[i].iou)},
                       {"accuracy", ToJson(result.classes[i].accuracy)}});
  }
  return {{"mean_iou", ToJson(result.mean_iou)},
          {"mean_accuracy", ToJson(result.mean_accuracy)},
          {"weighted_iou", ToJson(result.weighted_iou)},
          {"pixel_accuracy", ToJson(result.pixel_accuracy)},
          {"pictures", result.pictures},
          {"classes", std::move(classes)}};
}

}  // namespace semsam
