#include "model/training/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "model/base/status_macros.h"
#include "model/weights/atomic_file.h"
#include "model/weights/mapped_file.h"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxPoints = 400;  // of a curve

// The numbers of a line by their names, in the order of the file.
std::vector<std::pair<std::string, double*>> Fields(Metrics& m) {
  std::vector<std::pair<std::string, double*>> fields = {{"epoch", &m.epoch}, {"loss", &m.loss}};
  for (int i = 0; i < LossTerms::kCount; ++i) {
    fields.emplace_back(LossTerms::kNames[i], &m.terms[i]);
  }
  fields.insert(fields.end(), {{"learning_rate", &m.learning_rate},
                               {"gradient_norm", &m.gradient_norm},
                               {"pairs", &m.pairs},
                               {"pictures_per_s", &m.pictures_per_s},
                               {"loader_share", &m.loader_share}});
  return fields;
}

std::vector<std::pair<std::string, int64_t*>> Counts(Metrics& m) {
  return {{"step", &m.step}, {"skipped_steps", &m.skipped_steps}, {"bad_samples", &m.bad_samples}};
}

bool ParseMetrics(const std::string& line, Metrics& metrics) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  for (const auto& [name, count] : Counts(metrics)) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_number_integer()) return false;
    *count = found->get<int64_t>();
  }
  for (const auto& [name, value] : Fields(metrics)) {
    const auto found = json.find(name);
    // A number that is none (a training that diverged) is written as null.
    if (found == json.end() || !(found->is_number() || found->is_null())) return false;
    *value = found->is_null() ? std::nan("") : found->get<double>();
  }
  return true;
}

absl::Status SystemError(const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
}

// One series of a panel: where it is in a line, what it is called.
struct Series {
  std::string name;
  std::function<double(const Metrics&)> value;
};

constexpr const char* kColours[] = {"#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94",
                                    "#b8860b", "#2a9d8f", "#8d5524"};

// Means of at most kMaxPoints stretches: (step, value), without what is not finite.
std::vector<std::pair<double, double>> Points(const std::vector<Metrics>& lines,
                                              const Series& series) {
  std::vector<std::pair<double, double>> points;
  const size_t stretch = (lines.size() + kMaxPoints - 1) / kMaxPoints;
  for (size_t begin = 0; begin < lines.size(); begin += std::max<size_t>(1, stretch)) {
    const size_t end = std::min(lines.size(), begin + stretch);
    double sum = 0;
    int count = 0;
    for (size_t i = begin; i < end; ++i) {
      const double value = series.value(lines[i]);
      if (!std::isfinite(value)) continue;
      sum += value;
      ++count;
    }
    if (count > 0) points.emplace_back(static_cast<double>(lines[end - 1].step), sum / count);
  }
  return points;
}

// A panel of the picture, 300 px high, its upper edge at `top`.
std::string Panel(const std::vector<Metrics>& lines, const std::vector<Series>& all, double top) {
  constexpr double kLeft = 70, kWidth = 620, kHeight = 220;
  double highest = 0, last_step = 1;
  for (const Metrics& line : lines) last_step = std::max(last_step, static_cast<double>(line.step));
  std::vector<std::vector<std::pair<double, double>>> curves;
  for (const Series& series : all) {
    curves.push_back(Points(lines, series));
    for (const auto& [step, value] : curves.back()) highest = std::max(highest, value);
  }
  if (highest <= 0) highest = 1;
  std::string svg;
  for (int i = 0; i <= 4; ++i) {
    const double y = top + kHeight * (1 - i / 4.0);
    absl::StrAppendFormat(&svg, "<line x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\" class=\"grid\"/>\n",
                          kLeft, y, kLeft + kWidth, y);
    absl::StrAppendFormat(&svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%.3g</text>\n",
                          kLeft - 6, y + 4, highest * i / 4);
    absl::StrAppendFormat(&svg, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%.0f</text>\n",
                          kLeft + kWidth * i / 4, top + kHeight + 18, last_step * i / 4);
  }
  for (size_t s = 0; s < all.size(); ++s) {
    const char* colour = kColours[s % std::size(kColours)];
    absl::StrAppendFormat(&svg, "<polyline fill=\"none\" stroke=\"%s\" points=\"", colour);
    for (const auto& [step, value] : curves[s]) {
      absl::StrAppendFormat(&svg, "%.1f,%.1f ", kLeft + kWidth * step / last_step,
                            top + kHeight * (1 - value / highest));
    }
    absl::StrAppendFormat(&svg, "\"/>\n<text x=\"%g\" y=\"%g\" fill=\"%s\">%s</text>\n",
                          kLeft + kWidth + 10, top + 14 + 18 * static_cast<double>(s), colour,
                          all[s].name);
  }
  return svg;
}

// Text of a picture.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::string MetricsToJson(const Metrics& metrics) {
  Metrics copy = metrics;
  Json json = {{"step", metrics.step}};
  for (const auto& [name, value] : Fields(copy)) json[name] = *value;
  json["skipped_steps"] = metrics.skipped_steps;
  json["bad_samples"] = metrics.bad_samples;
  return json.dump();
}

absl::StatusOr<std::vector<Metrics>> ReadMetrics(const std::string& path, int64_t last_step) {
  std::vector<Metrics> lines;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return lines;
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const absl::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                               file->bytes().size());
  std::vector<std::string> parts = absl::StrSplit(text, '\n');
  parts.pop_back();  // empty, or cut short
  for (size_t i = 0; i < parts.size(); ++i) {
    Metrics metrics;
    if (!ParseMetrics(parts[i], metrics)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", i + 1, ": it is no line of a training's metrics"));
    }
    if (metrics.step <= last_step) lines.push_back(metrics);
  }
  return lines;
}

absl::Status WriteMetrics(const std::string& path, const std::vector<Metrics>& lines) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  std::string text;
  for (const Metrics& line : lines) absl::StrAppend(&text, MetricsToJson(line), "\n");
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(text))));
  return file->Commit();
}

absl::Status AppendMetrics(const std::string& path, const Metrics& line) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(path);
  const std::string text = MetricsToJson(line) + "\n";
  absl::Status status;
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(fd, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      status = SystemError(path);
      break;
    }
    written += static_cast<size_t>(count);
  }
  if (::close(fd) != 0 && status.ok()) status = SystemError(path);
  return status;
}

std::string ProgressLine(const Metrics& metrics, int64_t total_steps, double seconds_left) {
  return absl::StrFormat(
      "step %d/%d  epoch %.2f  loss %.4g  bce %.3g  dice %.3g  lr %.2g  %.2f pictures/s  "
      "loader %.0f%%  %.0f min left",
      metrics.step, total_steps, metrics.epoch, metrics.loss, metrics.terms[0], metrics.terms[1],
      metrics.learning_rate, metrics.pictures_per_s, 100 * metrics.loader_share, seconds_left / 60);
}

std::string DrawCurves(const std::vector<Metrics>& lines, std::string_view title) {
  std::vector<Series> terms;
  for (int i = 0; i < LossTerms::kCount; ++i) {
    terms.push_back({.name = std::string(LossTerms::kNames[i]),
                     .value = [i](const Metrics& m) { return m.terms[i]; }});
  }
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"820\" height=\"860\">\n"
      "<style>text{font:12px sans-serif} .grid{stroke:#ddd}</style>\n"
      "<rect width=\"820\" height=\"860\" fill=\"#fff\"/>\n";
  absl::StrAppend(&svg, "<text x=\"70\" y=\"22\">", Escaped(title), "</text>\n");
  svg += Panel(lines, {{"loss", [](const Metrics& m) { return m.loss; }}}, 40);
  svg += Panel(lines, terms, 310);
  svg += Panel(lines, {{"learning rate", [](const Metrics& m) { return m.learning_rate; }}}, 580);
  return svg + "</svg>\n";
}

}  // namespace semsam
