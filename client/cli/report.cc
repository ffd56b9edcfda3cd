#include "client/cli/report.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

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
  for (const Label& label : labels) {
    json.push_back({{"name", label.name},
                    {"score", label.score},
                    {"logit", label.logit},
                    {"word_index", label.word_index}});
  }
  return json;
}

Json BoxJson(const PixelBox& box) { return {box.x, box.y, box.width, box.height}; }

// What every annotation has.
Json AnnotationJson(const Mask& mask, int id) {
  return {{"id", id},
          {"image_id", kImageId},
          {"segmentation", {{"size", {mask.size.height, mask.size.width}}, {"counts", mask.data}}},
          {"area", mask.area_px},
          {"bbox", BoxJson(mask.box)},
          {"iscrowd", 0}};
}

// Of a mask of clicks, the user's or a grid's.
Json MaskJson(const Mask& mask, int id) {
  Json json = AnnotationJson(mask, id);
  json["predicted_iou"] = mask.predicted_iou;
  json["stability_score"] = mask.stability;
  json["level"] = mask.level;
  json["prompt_index"] = mask.prompt_index;
  if (mask.mask_id != 0) json["mask_id"] = mask.mask_id;
  if (!mask.object_labels.empty()) json["object_labels"] = LabelsJson(mask.object_labels);
  if (!mask.part_labels.empty()) json["part_labels"] = LabelsJson(mask.part_labels);
  return json;
}

void AddPrompt(const SegmentReport& report, const Mask& mask, Json& json) {
  const Prompt prompt = ToPixels(report.prompts[mask.prompt_index], report.summary.image_size);
  json["prompt"] = PromptJson(prompt);
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    json["point_coords"] = Json::array({Json::array({click->x, click->y})});
  }
}

void AddGridPoint(const SegmentReport& report, size_t index, Json& json) {
  const Mask& mask = report.masks[index].mask;
  if (report.points_per_side > 0) {
    const double step_x = 1.0 * report.summary.image_size.width / report.points_per_side;
    const double step_y = 1.0 * report.summary.image_size.height / report.points_per_side;
    const int column = mask.prompt_index % report.points_per_side;
    const int row = mask.prompt_index / report.points_per_side;
    json["point_coords"] =
        Json::array({Json::array({(column + 0.5) * step_x, (row + 0.5) * step_y})});
  }
  const int parent = index < report.parents.size() ? report.parents[index] : -1;
  json["parent"] = parent < 0 ? Json(nullptr) : Json(parent + 1);
}

// The number of a word, which serves as its category.
int CategoryOf(const SegmentReport& report, const char* list, int word_index) {
  const Legend::Entry* entry = report.legend.Find(list, word_index);
  return entry == nullptr ? 0 : entry->number;
}

Json SegmentJson(const SegmentReport& report, const VocabularySegment& segment, int id) {
  Json json = AnnotationJson(segment.mask, id);
  json["category_id"] = CategoryOf(report, ListOf(segment), segment.word_index);
  json["name"] = segment.name;
  json["kind"] = KindName(segment.kind);
  json["isthing"] = segment.is_thing ? 1 : 0;
  json["word_index"] = segment.word_index;
  json["score"] = segment.score;
  return json;
}

Json PanopticJson(const SegmentReport& report) {
  Json segments = Json::array();
  for (const PanopticSegment& segment : report.panoptic->segments) {
    const char* list = segment.is_thing ? kThingsList : kStuffList;
    segments.push_back({{"id", segment.id},
                        {"category_id", CategoryOf(report, list, segment.word_index)},
                        {"area", segment.area_px},
                        {"bbox", BoxJson(segment.box)},
                        {"iscrowd", 0},
                        {"isthing", segment.is_thing ? 1 : 0},
                        {"name", segment.name},
                        {"score", segment.score}});
  }
  return {{"image_id", kImageId},
          {"file_name", report.panoptic_file},
          {"segments_info", std::move(segments)}};
}

Json WordsJson(const Legend& legend) {
  Json words = Json::array();
  for (const Legend::Entry& entry : legend.entries()) {
    words.push_back({{"number", entry.number},
                     {"list", entry.list},
                     {"name", entry.name},
                     {"color", ToHex(entry.colour)},
                     {"regions", entry.regions}});
  }
  return words;
}

Json CategoriesJson(const Legend& legend) {
  Json categories = Json::array();
  for (const Legend::Entry& entry : legend.entries()) {
    categories.push_back({{"id", entry.number},
                          {"name", entry.name},
                          {"supercategory", entry.list},
                          {"isthing", entry.list == kThingsList ? 1 : 0},
                          {"color", {entry.colour.red, entry.colour.green, entry.colour.blue}}});
  }
  return categories;
}

Json AnnotationsJson(const SegmentReport& report) {
  Json annotations = Json::array();
  for (size_t i = 0; i < report.masks.size(); ++i) {
    const Mask& mask = report.masks[i].mask;
    Json json = MaskJson(mask, static_cast<int>(i) + 1);
    if (report.task == Task::kEverything) {
      AddGridPoint(report, i, json);
    } else {
      AddPrompt(report, mask, json);
    }
    annotations.push_back(std::move(json));
  }
  for (const TimedSegment& timed : report.segments) {
    const int id = static_cast<int>(annotations.size()) + 1;
    annotations.push_back(SegmentJson(report, timed.segment, id));
  }
  return annotations;
}

void AddTiming(Json& json, const char* name, const std::optional<absl::Duration>& duration) {
  if (duration.has_value()) json[name] = absl::ToDoubleMilliseconds(*duration);
}

}  // namespace

void SortMasks(std::vector<TimedMask>& masks) {
  std::stable_sort(masks.begin(), masks.end(), [](const TimedMask& a, const TimedMask& b) {
    return std::tie(a.mask.prompt_index, a.mask.level) <
           std::tie(b.mask.prompt_index, b.mask.level);
  });
}

const char* ListOf(const VocabularySegment& segment) {
  if (segment.kind == VocabularySegment::Kind::kPart) return kPartsList;
  return segment.is_thing ? kThingsList : kStuffList;
}

const char* KindName(VocabularySegment::Kind kind) {
  switch (kind) {
    case VocabularySegment::Kind::kInstance:
      return "instance";
    case VocabularySegment::Kind::kSemantic:
      return "semantic";
    case VocabularySegment::Kind::kPart:
      break;
  }
  return "part";
}

void CountRegions(SegmentReport& report) {
  for (const TimedMask& timed : report.masks) {
    for (const auto& [list, labels] : {std::pair{kObjectsList, &timed.mask.object_labels},
                                       std::pair{kPartsList, &timed.mask.part_labels}}) {
      if (!labels->empty()) report.legend.Count(list, labels->front().word_index);
    }
  }
  for (const TimedSegment& timed : report.segments) {
    report.legend.Count(ListOf(timed.segment), timed.segment.word_index);
  }
  // Where the map is all there is, its segments are the regions.
  if (!report.segments.empty() || !report.panoptic.has_value()) return;
  for (const PanopticSegment& segment : report.panoptic->segments) {
    report.legend.Count(segment.is_thing ? kThingsList : kStuffList, segment.word_index);
  }
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
  Json model = {{"name", report.model.name},
                {"digest", report.model.digest},
                {"trained", report.model.trained}};
  Json document = {{"image", image},
                   {"images", Json::array({image})},
                   {"annotations", AnnotationsJson(report)},
                   {"model", std::move(model)}};
  if (report.task == Task::kWords) document["categories"] = CategoriesJson(report.legend);
  if (!report.legend.entries().empty()) document["words"] = WordsJson(report.legend);
  if (report.panoptic.has_value()) document["panoptic"] = PanopticJson(report);
  return document;
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
  AddTiming(json, "words", timings.words);
  return json;
}

// What is not bounded is not there.
Json ToJson(const TenantQuota& quota) {
  Json json = {{"tenant", quota.tenant}};
  for (const auto& [name, bound] :
       {std::pair{"max_sessions", quota.max_sessions},
        std::pair{"max_retained_image_bytes", quota.max_retained_image_bytes},
        std::pair{"max_requests", quota.max_requests}, std::pair{"max_queries", quota.max_queries},
        std::pair{"max_background_requests", quota.max_background_requests},
        std::pair{"max_upload_bytes", quota.max_upload_bytes}}) {
    if (bound.has_value()) json[name] = *bound;
  }
  return json;
}

Json ToJson(const Session& session) {
  Json images = Json::array();
  for (const Image& image : session.images) {
    images.push_back({{"image_id", image.image_id},
                      {"sha256", image.sha256},
                      {"size", {image.size.height, image.size.width}}});
  }
  return {{"session_id", session.session_id},
          {"create_time", absl::FormatTime(session.create_time, absl::UTCTimeZone())},
          {"expire_time", absl::FormatTime(session.expire_time, absl::UTCTimeZone())},
          {"ttl_s", absl::ToDoubleSeconds(session.ttl)},
          {"images", std::move(images)}};
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
            {"object_words", info.model.object_words},
            {"part_words", info.model.part_words},
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
            {"default_deadline_s", absl::ToDoubleSeconds(limits.default_deadline)},
            {"max_words", limits.max_words},
            {"max_word_characters", limits.max_word_characters},
            {"max_points_per_side", limits.max_points_per_side},
            {"max_labelled_masks", limits.max_labelled_masks},
            {"max_open_clicks", limits.max_open_clicks},
            {"max_interact_age_s", absl::ToDoubleSeconds(limits.max_interact_age)},
            {"request_id_ttl_s", absl::ToDoubleSeconds(limits.request_id_ttl)},
            {"max_message_bytes", limits.max_message_bytes},
            {"max_deadline_s", absl::ToDoubleSeconds(limits.max_deadline)},
            {"default_session_ttl_s", absl::ToDoubleSeconds(limits.default_session_ttl)},
            {"max_upload_pause_s", absl::ToDoubleSeconds(limits.max_upload_pause)},
            {"min_ping_interval_s", absl::ToDoubleSeconds(limits.min_ping_interval)}}},
          {"quota", ToJson(info.quota)}};
}

Json ToJson(const RefreshLabelsResult& result) {
  Json masks = Json::array();
  for (const MaskLabels& mask : result.masks) {
    masks.push_back({{"mask_id", mask.mask_id},
                     {"object_labels", LabelsJson(mask.object_labels)},
                     {"part_labels", LabelsJson(mask.part_labels)}});
  }
  return {{"masks", std::move(masks)}, {"timings_ms", ToJson(result.timings)}};
}

std::string Dump(const Json& json) {
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace semsam::client
