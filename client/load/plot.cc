#include "client/load/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace semsam::load {
namespace {

constexpr double kLeft = 70;
constexpr double kWidth = 720;
constexpr double kHeight = 260;
constexpr double kPanelGap = 80;
constexpr double kLegendWidth = 220;
constexpr double kLegendLine = 16;
constexpr const char* kColors[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e",
                                   "#8c564b", "#17becf", "#e377c2", "#7f7f7f", "#bcbd22",
                                   "#aec7e8", "#ff9896", "#98df8a", "#c5b0d5"};
constexpr double kGridPercents[] = {50, 90, 99, 99.9, 99.99};
constexpr double kMaxNines = 5;

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool dashed = false;
};

// Of one axis: what its ends are.
struct Range {
  double from = 0;
  double to = 1;

  double Place(double value) const { return (value - from) / (to - from); }
};

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

// Both the scale of the axis and its place in the picture.
class Panel {
 public:
  Panel(std::string& svg, double top, Range x, Range y) : svg_(svg), top_(top), x_(x), y_(y) {}

  void Title(const std::string& text) {
    absl::StrAppendFormat(&svg_, "<text x=\"%g\" y=\"%g\" class=\"title\">%s</text>\n", kLeft,
                          top_ - 10, Escaped(text));
  }
  void TickX(double value, const std::string& label) {
    absl::StrAppendFormat(&svg_, "<path d=\"M%.1f %g v%g\" class=\"grid\"/>\n", X(value), top_,
                          kHeight);
    absl::StrAppendFormat(&svg_, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s</text>\n",
                          X(value), top_ + kHeight + 16, label);
  }
  void TickY(double value, const std::string& label) {
    absl::StrAppendFormat(&svg_, "<path d=\"M%g %.1f h%g\" class=\"grid\"/>\n", kLeft, Y(value),
                          kWidth);
    absl::StrAppendFormat(&svg_, "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                          kLeft - 6, Y(value) + 4, label);
  }
  void Draw(const Line& line, size_t number) {
    const char* color = kColors[number % std::size(kColors)];
    absl::StrAppendFormat(&svg_, "<polyline stroke=\"%s\"%s points=\"", color,
                          line.dashed ? " stroke-dasharray=\"4 3\"" : "");
    for (const auto& [x, y] : line.points) absl::StrAppendFormat(&svg_, "%.1f,%.1f ", X(x), Y(y));
    absl::StrAppendFormat(&svg_, "\"/>\n<text x=\"%g\" y=\"%g\" fill=\"%s\">%s</text>\n",
                          kLeft + kWidth + 10, top_ + kLegendLine * static_cast<double>(number + 1),
                          color, Escaped(line.name));
  }

 private:
  double X(double value) const { return kLeft + kWidth * x_.Place(value); }
  double Y(double value) const { return top_ + kHeight * (1 - y_.Place(value)); }

  std::string& svg_;
  const double top_;
  const Range x_;
  const Range y_;
};

// 90 -> 1, 99 -> 2, ...: where a percentile stands on the axis.
double Nines(double percent) { return std::log10(100 / (100 - percent)); }

// The tail that so few values cannot know is left out; the longest value stands at
// its own share.
Line LatencyLine(std::string name, const LatencySummary& latency) {
  Line line{.name = std::move(name)};
  const double last = std::min(std::log10(static_cast<double>(latency.count) + 1), kMaxNines);
  for (size_t i = 0; i + 1 < latency.at_ms.size(); ++i) {
    const double nines = Nines(kReportedPercents[i]);
    if (nines < last) line.points.emplace_back(nines, std::log10(latency.at_ms[i]));
  }
  line.points.emplace_back(last, std::log10(latency.at_ms.back()));
  return line;
}

std::string Prefix(const std::vector<LoadReport>& reports, size_t index) {
  if (reports.size() == 1) return "";
  const std::string& label = reports[index].label;
  return absl::StrCat(label.empty() ? absl::StrCat("report ", index + 1) : label, ": ");
}

void DrawLatencies(const std::vector<LoadReport>& reports, double top, std::string& svg) {
  std::vector<Line> lines;
  Range y{.from = std::numeric_limits<double>::max(), .to = std::numeric_limits<double>::lowest()};
  for (size_t i = 0; i < reports.size(); ++i) {
    for (const auto& [name, kind] : reports[i].kinds) {
      if (kind.latency.at_ms.empty() || kind.latency.at_ms.front() <= 0) continue;
      lines.push_back(LatencyLine(Prefix(reports, i) + name, kind.latency));
      y.from = std::min(y.from, std::floor(lines.back().points.front().second));
      y.to = std::max(y.to, std::floor(lines.back().points.back().second) + 1);
    }
  }
  if (lines.empty()) y = {};
  Panel panel(svg, top, {.from = 0, .to = kMaxNines}, y);
  panel.Title("latency from when the call was due, ms, by percentile");
  for (const double percent : kGridPercents) {
    panel.TickX(Nines(percent), absl::StrCat("p", percent));
  }
  for (double power = y.from; power <= y.to; ++power) {
    panel.TickY(power, absl::StrFormat("%g", std::pow(10, power)));
  }
  for (size_t i = 0; i < lines.size(); ++i) panel.Draw(lines[i], i);
}

Line RateLine(std::string name, const std::vector<int64_t>& bins, double bin_s, bool dashed) {
  Line line{.name = std::move(name), .dashed = dashed};
  for (size_t i = 0; i < bins.size(); ++i) {
    line.points.emplace_back((static_cast<double>(i) + 0.5) * bin_s,
                             static_cast<double>(bins[i]) / bin_s);
  }
  return line;
}

void DrawRates(const LoadReport& report, const std::string& prefix, double top, std::string& svg) {
  const std::vector<Line> lines = {
      RateLine("due", report.due_by_bin, report.bin_s, /*dashed=*/true),
      RateLine("answered", report.ok_by_bin, report.bin_s, /*dashed=*/false)};
  Range x{.from = 0,
          .to = std::max(1.0, static_cast<double>(report.due_by_bin.size()) * report.bin_s)};
  Range y;
  for (const Line& line : lines) {
    for (const auto& [at, rate] : line.points) y.to = std::max(y.to, rate);
  }
  Panel panel(svg, top, x, y);
  panel.Title(absl::StrCat(prefix, "calls per second over the seconds of the run"));
  for (int i = 0; i <= 4; ++i) {
    panel.TickX(x.to * i / 4, absl::StrFormat("%.0f", x.to * i / 4));
    panel.TickY(y.to * i / 4, absl::StrFormat("%.3g", y.to * i / 4));
  }
  for (size_t i = 0; i < lines.size(); ++i) panel.Draw(lines[i], i);
}

}  // namespace

std::string DrawPlot(const std::vector<LoadReport>& reports) {
  const double panels = 1 + static_cast<double>(reports.size());
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\">\n"
      "<style>text{font:12px sans-serif} .title{font-weight:bold} "
      ".grid{stroke:#ddd} polyline{fill:none;stroke-width:1.5}</style>\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kLeft + kWidth + kLegendWidth, panels * (kHeight + kPanelGap));
  double top = kPanelGap / 2;
  DrawLatencies(reports, top, svg);
  for (size_t i = 0; i < reports.size(); ++i) {
    top += kHeight + kPanelGap;
    DrawRates(reports[i], Prefix(reports, i), top, svg);
  }
  return svg + "</svg>\n";
}

}  // namespace semsam::load
