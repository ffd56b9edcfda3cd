// Reads an object of a JSON file that people write: every error names the member by
// its path ("optimizer.clip_norm"), members that nobody asked for among them.
#ifndef SEMSAM_MODEL_TRAINING_JSON_OBJECT_H_
#define SEMSAM_MODEL_TRAINING_JSON_OBJECT_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace semsam {

// Read what is known, then Done. A member that is missing leaves its variable as it
// is. The first error is kept in `status`, and nothing is read from then on.
// Not thread-safe; `json` and `status` outlive it.
class JsonObject {
 public:
  // `path` of the object, empty for the whole file. An error if `json` is no object.
  JsonObject(const nlohmann::json& json, std::string path, absl::Status& status);

  bool Has(const char* key) const;

  void Get(const char* key, bool& value);
  void Get(const char* key, int& value);
  void Get(const char* key, int64_t& value);
  void Get(const char* key, uint64_t& value);
  void Get(const char* key, double& value);
  void Get(const char* key, std::string& value);
  void Get(const char* key, std::vector<double>& values);
  // One text, or an array of texts.
  void Get(const char* key, std::vector<std::string>& values);

  // One of a few words.
  template <typename Enum>
  void Get(const char* key, absl::Span<const std::pair<const char*, Enum>> names, Enum& value) {
    std::string text;
    if (!Has(key)) return;
    Get(key, text);
    std::string known;
    for (const auto& [name, meaning] : names) {
      if (text == name) {
        value = meaning;
        return;
      }
      known += known.empty() ? name : std::string(", ") + name;
    }
    Fail(key, "must be one of " + known);
  }

  // The member as it is, null where it is missing.
  const nlohmann::json* Raw(const char* key);
  // An object; an empty one where it is missing.
  JsonObject Object(const char* key);

  std::string PathOf(std::string_view key) const;
  void Fail(std::string_view key, const std::string& message);

  // Complains about a member that was not asked for.
  void Done();

 private:
  template <typename T>
  void GetInteger(const char* key, T& value);

  const nlohmann::json* json_;
  std::string path_;
  absl::Status* status_;
  std::set<std::string> asked_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_JSON_OBJECT_H_
