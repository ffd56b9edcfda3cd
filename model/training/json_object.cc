#include "model/training/json_object.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

using nlohmann::json;

const json& EmptyObject() {
  static const json* const kEmpty = new json(json::object());
  return *kEmpty;
}

}  // namespace

JsonObject::JsonObject(const json& json, std::string path, absl::Status& status)
    : json_(&json), path_(std::move(path)), status_(&status) {
  if (json.is_object()) return;
  json_ = &EmptyObject();
  if (status_->ok()) {
    *status_ = InvalidField(path_.empty() ? "recipe" : path_, "must be a JSON object");
  }
}

std::string JsonObject::PathOf(std::string_view key) const {
  std::string path = path_;
  if (!path.empty()) path += '.';
  path += key;
  return path;
}

void JsonObject::Fail(std::string_view key, const std::string& message) {
  if (status_->ok()) *status_ = InvalidField(PathOf(key), message);
}

bool JsonObject::Has(const char* key) const { return status_->ok() && json_->contains(key); }

const json* JsonObject::Raw(const char* key) {
  asked_.insert(key);
  if (!status_->ok()) return nullptr;
  const auto found = json_->find(key);
  return found == json_->end() ? nullptr : &*found;
}

JsonObject JsonObject::Object(const char* key) {
  const json* member = Raw(key);
  return {member == nullptr ? EmptyObject() : *member, PathOf(key), *status_};
}

void JsonObject::Get(const char* key, bool& value) {
  const json* member = Raw(key);
  if (member == nullptr) return;
  if (!member->is_boolean()) return Fail(key, "must be true or false");
  value = member->get<bool>();
}

template <typename T>
void JsonObject::GetInteger(const char* key, T& value) {
  const json* member = Raw(key);
  if (member == nullptr) return;
  if (!member->is_number_integer()) return Fail(key, "must be a whole number");
  const bool negative = !member->is_number_unsigned() && member->get<int64_t>() < 0;
  const bool fits =
      negative ? std::is_signed_v<T> &&
                     member->get<int64_t>() >= static_cast<int64_t>(std::numeric_limits<T>::min())
               : member->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<T>::max());
  if (!fits) {
    return Fail(key, std::is_signed_v<T> ? "is out of range" : "must be 0 or more, below 2^64");
  }
  value = member->get<T>();
}

void JsonObject::Get(const char* key, int& value) { GetInteger(key, value); }
void JsonObject::Get(const char* key, int64_t& value) { GetInteger(key, value); }
void JsonObject::Get(const char* key, uint64_t& value) { GetInteger(key, value); }

void JsonObject::Get(const char* key, double& value) {
  const json* member = Raw(key);
  if (member == nullptr) return;
  if (!member->is_number()) return Fail(key, "must be a number");
  value = member->get<double>();
}

void JsonObject::Get(const char* key, std::string& value) {
  const json* member = Raw(key);
  if (member == nullptr) return;
  if (!member->is_string()) return Fail(key, "must be a text");
  value = member->get<std::string>();
}

void JsonObject::Get(const char* key, std::vector<double>& values) {
  const json* member = Raw(key);
  if (member == nullptr) return;
  if (!member->is_array()) return Fail(key, "must be an array of numbers");
  values.clear();
  for (const json& value : *member) {
    if (!value.is_number()) return Fail(key, "must be an array of numbers");
    values.push_back(value.get<double>());
  }
}

void JsonObject::Get(const char* key, std::vector<std::string>& values) {
  const json* member = Raw(key);
  if (member == nullptr) return;
  if (member->is_string()) {
    values = {member->get<std::string>()};
    return;
  }
  if (!member->is_array()) return Fail(key, "must be a text or an array of texts");
  values.clear();
  for (const json& value : *member) {
    if (!value.is_string()) return Fail(key, "must be a text or an array of texts");
    values.push_back(value.get<std::string>());
  }
}

void JsonObject::Done() {
  if (!status_->ok()) return;
  for (auto it = json_->begin(); it != json_->end(); ++it) {
    if (asked_.contains(it.key())) continue;
    std::string known;
    for (const std::string& name : asked_) absl::StrAppend(&known, known.empty() ? "" : ", ", name);
    return Fail(it.key(), absl::StrCat("is no field of a recipe; there are: ", known));
  }
}

}  // namespace semsam
