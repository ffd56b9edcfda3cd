#include "client/cli/report.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace semsam::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kImageId = 1;  // of the one image in a document

Json PromptJson(const Prompt& prompt) {
  Json json;
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    json["type"] = "click";
    json["point"] = {click->x, click->y};
  } else if (const Box* box = std::get_if<Box>(&prompt.shape)) {
    json["type"] = "box";
    json["corners"] = {box->x0, box->y0, box->x1, box->y1};
  }
  if (!prompt.tag.empty()) json["tag"] = prompt.tag;
  return json;
}

Json LabelsJson(const std::vector<Label>& labels) {
  Json json = Json::array();
  for (const Label& label : labels) json.push_back({{"name", label.name}, {"score", label.score}});
  return json;
}

Json AnnotationJson(const Mask& mask, const Prompt& prompt_px, int id) {
  Json json = {
      {"id", id},
      {"image_id", kImageId},
      {"segmentation", {{"size", {mask.size.height, mask.size.width}}, {"counts", mask.data}}},
      {"area", mask.area_px},
      {"bbox", {mask.box.x, mask.box.y, mask.box.width, mask.box.height}},
      {"iscrowd", 0},
      {"predicted_iou", mask.predicted_iou},
      {"stability_score", mask.stability},
      {"level", mask.level},
      {"prompt_index", mask.prompt_index},
      {"prompt", PromptJson(prompt_px)}};
  if (const Click* click = std::get_if<Click>(&prompt_px.shape)) {
    json["point_coords"] = Json::array({Json::array({click->x, click->y})});
  }
  if (!mask.object_labels.empty()) json["object_labels"] = LabelsJson(mask.object_labels);
  if (!mask.part_labels.empty()) json["part_labels"] = LabelsJson(mask.part_labels);
  return json;
}

void AddTiming(Json& json, const char* name, const std::optional<absl::Duration>& duration) {
  if (duration.has_value()) json[name] = absl::ToDoubleMilliseconds(*duration);
}

// Columns as wide as their widest cell, numbers flush right.
std::string Layout(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      absl::StrAppend(&text, i == 0 ? "" : "  ", i == 0 ? "" : padding, row[i],
                      i == 0 ? padding : "");
    }
    text += "\n";
  }
  return text;
}

}  // namespace

void SortMasks(std::vector<TimedMask>& masks) {
  std::stable_sort(masks.begin(), masks.end(), [](const TimedMask& a, const TimedMask& b) {
    return std::tie(a.mask.prompt_index, a.mask.level) <
           std::tie(b.mask.prompt_index, b.mask.level);
  });
}

std::string DescribePrompt(const Prompt& prompt) {
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    return absl::StrCat("click ", click->x, ",", click->y);
  }
  const Box& box = std::get<Box>(prompt.shape);
  return absl::StrCat("box ", box.x0, ",", box.y0, ",", box.x1, ",", box.y1);
}

Prompt ToPixels(const Prompt& prompt, ImageSize image_size) {
  Prompt pixels = prompt;
  if (prompt.frame == CoordinateFrame::kPixels) return pixels;
  pixels.frame = CoordinateFrame::kPixels;
  const float width = static_cast<float>(image_size.width);
  const float height = static_cast<float>(image_size.height);
  if (Click* click = std::get_if<Click>(&pixels.shape)) {
    *click = {click->x * width, click->y * height};
  } else if (Box* box = std::get_if<Box>(&pixels.shape)) {
    *box = {box->x0 * width, box->y0 * height, box->x1 * width, box->y1 * height};
  }
  return pixels;
}

Json ToCocoJson(const SegmentReport& report) {
  Json image = {{"id", kImageId},
                {"image_id", kImageId},
                {"file_name", std::filesystem::path(report.image_path).filename().string()},
                {"width", report.summary.image_size.width},
                {"height", report.summary.image_size.height}};
  if (!report.image.sha256.empty()) image["sha256"] = report.image.sha256;
  Json annotations = Json::array();
  for (const TimedMask& timed : report.masks) {
    const Prompt& prompt = report.prompts[timed.mask.prompt_index];
    annotations.push_back(AnnotationJson(timed.mask, ToPixels(prompt, report.summary.image_size),
                                         static_cast<int>(annotations.size()) + 1));
  }
  Json model = {{"name", report.model.name},
                {"digest", report.model.digest},
                {"trained", report.model.trained}};
  return {{"image", image},
          {"images", Json::array({image})},
          {"annotations", std::move(annotations)},
          {"model", std::move(model)}};
}

std::string ToTable(const SegmentReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"prompt", "level", "IoU", "stability", "area px", "box x,y,w,h", "ms"}};
  for (const TimedMask& timed : report.masks) {
    const Mask& mask = timed.mask;
    rows.push_back(
        {absl::StrCat(mask.prompt_index + 1, " ",
                      DescribePrompt(report.prompts[mask.prompt_index])),
         absl::StrCat(mask.level), absl::StrFormat("%.3f", mask.predicted_iou),
         absl::StrFormat("%.3f", mask.stability), absl::StrCat(mask.area_px),
         absl::StrCat(mask.box.x, ",", mask.box.y, ",", mask.box.width, ",", mask.box.height),
         absl::StrFormat("%.1f", absl::ToDoubleMilliseconds(timed.arrival))});
  }
  return Layout(rows);
}

Json ToJson(const StageTimings& timings) {
  Json json = Json::object();
  AddTiming(json, "image_decode", timings.image_decode);
  AddTiming(json, "preprocess", timings.preprocess);
  AddTiming(json, "encode_queue", timings.encode_queue);
  AddTiming(json, "encode", timings.encode);
  AddTiming(json, "decode_queue", timings.decode_queue);
  AddTiming(json, "decode", timings.decode);
  AddTiming(json, "postprocess", timings.postprocess);
  return json;
}

Json ToJson(const ServerInfo& info) {
  const Capabilities& can = info.model.capabilities;
  const Limits& limits = info.limits;
  Json levels = Json::array();
  for (const GranularityLevel& level : info.model.levels) {
    levels.push_back({{"level", level.level}, {"name", level.name}});
  }
  return {{"server_version", info.server_version},
          {"model",
           {{"name", info.model.name},
            {"digest", info.model.digest},
            {"device", info.model.device},
            {"trained", info.model.trained},
            {"short_edge_px", info.model.short_edge_px},
            {"levels", std::move(levels)},
            {"capabilities",
             {{"click_prompts", can.click_prompts},
              {"box_prompts", can.box_prompts},
              {"object_labels", can.object_labels},
              {"part_labels", can.part_labels},
              {"vocabulary", can.vocabulary}}}}},
          {"limits",
           {{"max_image_bytes", limits.max_image_bytes},
            {"max_image_pixels", limits.max_image_pixels},
            {"max_chunk_bytes", limits.max_chunk_bytes},
            {"max_prompts_per_request", limits.max_prompts_per_request},
            {"max_images_per_session", limits.max_images_per_session},
            {"max_sessions", limits.max_sessions},
            {"max_session_ttl_s", absl::ToDoubleSeconds(limits.max_session_ttl)},
            {"max_session_age_s", absl::ToDoubleSeconds(limits.max_session_age)},
            {"max_queued_requests", limits.max_queued_requests},
            {"default_deadline_s", absl::ToDoubleSeconds(limits.default_deadline)}}}};
}

std::string Dump(const Json& json) {
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace semsam::client
