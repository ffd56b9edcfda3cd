#include "model/tools/inspect/prompts_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

using Json = nlohmann::json;

bool IsFileNamePart(const std::string& name) {
  return !name.empty() && name.size() <= 100 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
         });
}

absl::Status CheckMembers(const Json& object, const std::vector<std::string>& known,
                          const std::string& path) {
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      return InvalidField(absl::StrCat(path, ".", item.key()), "is not known");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Prompt> ParsePoint(const Json& point, const std::string& path) {
  if (!point.is_array() || point.size() != 4) {
    return InvalidField(path, "must be four numbers: cx, cy, w, h");
  }
  float values[4];
  for (int i = 0; i < 4; ++i) {
    if (!point[i].is_number()) return InvalidField(path, "must be four numbers: cx, cy, w, h");
    values[i] = point[i].get<float>();
    if (!std::isfinite(values[i])) return InvalidField(path, "must be finite");
  }
  return Prompt{.cx = values[0], .cy = values[1], .w = values[2], .h = values[3]};
}

absl::StatusOr<PromptGroup> ParseGroup(const std::string& name, const Json& object) {
  const std::string path = absl::StrCat("prompts.", name);
  if (!IsFileNamePart(name)) {
    return InvalidField(path, "a name is letters, digits, '_', '-' and '.'");
  }
  if (!object.is_object()) return InvalidField(path, "must be an object");
  SEMSAM_RETURN_IF_ERROR(CheckMembers(object, {"points_cxcywh", "pb", "joint"}, path));
  PromptGroup group{.name = name};
  const Json points = object.value("points_cxcywh", Json());
  if (!points.is_array() || points.empty()) {
    return InvalidField(path + ".points_cxcywh", "must be a list of points");
  }
  for (size_t i = 0; i < points.size(); ++i) {
    SEMSAM_ASSIGN_OR_RETURN(const Prompt prompt,
                            ParsePoint(points[i], absl::StrCat(path, ".points_cxcywh[", i, "]")));
    group.prompts.push_back(prompt);
  }
  if (const auto rows = object.find("pb"); rows != object.end()) {
    if (!rows->is_array() || rows->size() != group.prompts.size()) {
      return InvalidField(path + ".pb", "must hold one number a point");
    }
    for (size_t i = 0; i < rows->size(); ++i) {
      const Json& row = (*rows)[i];
      if (row != 0 && row != 1) {
        return InvalidField(absl::StrCat(path, ".pb[", i, "]"), "must be 0 or 1");
      }
      group.prompts[i].point_or_box = row.get<int>();
    }
  }
  if (const auto joint = object.find("joint"); joint != object.end()) {
    if (!joint->is_boolean()) return InvalidField(path + ".joint", "must be true or false");
    group.joint = joint->get<bool>();
  }
  return group;
}

}  // namespace

absl::StatusOr<std::vector<PromptGroup>> ParsePrompts(const std::string& json) {
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return absl::InvalidArgumentError("the prompts are not JSON");
  const auto prompts = document.is_object() ? document.find("prompts") : document.end();
  if (!document.is_object() || prompts == document.end() || !prompts->is_object()) {
    return InvalidField("prompts", "must be an object");
  }
  std::vector<PromptGroup> groups;
  for (const auto& item : prompts->items()) {
    SEMSAM_ASSIGN_OR_RETURN(PromptGroup group, ParseGroup(item.key(), item.value()));
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace semsam
