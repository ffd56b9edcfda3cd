#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/folder_sample.h"
#include "model/data/json_fields.h"
#include "model/data/readers.h"

namespace semsam {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;
constexpr absl::string_view kVocabularyEnding = ".vocabulary.json";
constexpr char kInfoFile[] = "dataset.json";

using Vocabularies = std::map<std::string, std::shared_ptr<const Vocabulary>>;

class FolderDataset final : public Dataset {
 public:
  FolderDataset(std::string folder, DatasetInfo info, Vocabularies vocabularies,
                std::vector<std::string> stems)
      : folder_(std::move(folder)),
        info_(std::move(info)),
        vocabularies_(std::move(vocabularies)),
        stems_(std::move(stems)) {}

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return stems_.size(); }
  std::string name(size_t index) const override { return stems_[index]; }

  absl::StatusOr<Sample> Load(size_t index) const override {
    const std::string path = JoinPath(folder_, stems_[index] + ".json");
    SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxFileBytes));
    absl::StatusOr<Sample> sample =
        ParseFolderSample(text, folder_, stems_[index],
                          [this](const std::string& name) { return FindVocabulary(name); });
    if (!sample.ok()) return Annotate(sample.status(), path);
    if (sample->licence.empty()) sample->licence = info_.licence;
    if (sample->source.empty()) sample->source = info_.source;
    return sample;
  }

 private:
  std::shared_ptr<const Vocabulary> FindVocabulary(const std::string& name) const {
    if (name.empty()) return no_words_;
    const auto found = vocabularies_.find(name);
    return found == vocabularies_.end() ? nullptr : found->second;
  }

  const std::string folder_;
  const DatasetInfo info_;
  const Vocabularies vocabularies_;
  const std::shared_ptr<const Vocabulary> no_words_ = std::make_shared<const Vocabulary>();
  const std::vector<std::string> stems_;
};

absl::Status ReadVocabulary(const std::string& path, const std::string& name,
                            Vocabularies& vocabularies) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxFileBytes));
  absl::StatusOr<Vocabulary> vocabulary = ParseVocabulary(text);
  if (!vocabulary.ok()) return Annotate(vocabulary.status(), path);
  vocabulary->name = name;
  vocabularies[name] = std::make_shared<const Vocabulary>(*std::move(vocabulary));
  return absl::OkStatus();
}

// What dataset.json says, where the caller does not.
absl::Status ReadInfo(const std::string& folder, DatasetInfo& info) {
  const std::string path = JoinPath(folder, kInfoFile);
  if (!IsFile(path)) return absl::OkStatus();
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxFileBytes));
  absl::StatusOr<nlohmann::json> json = ParseJson(text);
  if (!json.ok()) return Annotate(json.status(), path);
  const std::pair<const char*, std::string*> fields[] = {
      {"name", &info.name}, {"licence", &info.licence}, {"source", &info.source}};
  for (const auto& [key, field] : fields) {
    absl::StatusOr<std::string> value = TextField(*json, key, "");
    if (!value.ok()) return Annotate(value.status(), path);
    if (field->empty()) *field = *std::move(value);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenFolder(const DatasetSpec& spec) {
  if (spec.images.empty()) return InvalidField("images", "needs the folder");
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(spec.images, {".json"}));
  std::vector<std::string> stems;
  Vocabularies vocabularies;
  for (const std::string& name : names) {
    if (name == kInfoFile) continue;
    if (absl::EndsWith(name, kVocabularyEnding)) {
      SEMSAM_RETURN_IF_ERROR(ReadVocabulary(JoinPath(spec.images, name),
                                            name.substr(0, name.size() - kVocabularyEnding.size()),
                                            vocabularies));
    } else {
      stems.emplace_back(WithoutEnding(name));
    }
  }
  std::sort(stems.begin(), stems.end());
  DatasetInfo info = {.name = spec.name, .licence = spec.licence, .source = spec.source};
  SEMSAM_RETURN_IF_ERROR(ReadInfo(spec.images, info));
  if (info.name.empty()) info.name = BaseName(spec.images);
  // Of one vocabulary all samples speak; of several, each of its own.
  info.vocabulary = vocabularies.size() == 1 ? vocabularies.begin()->second
                                             : std::make_shared<const Vocabulary>();
  return std::make_unique<FolderDataset>(spec.images, std::move(info), std::move(vocabularies),
                                         std::move(stems));
}

}  // namespace semsam
