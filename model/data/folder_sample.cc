#include "model/data/folder_sample.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/data/json_fields.h"
#include "model/data/label_runs.h"
#include "model/data/picture_path.h"
#include "model/image/encode_image.h"
#include "model/image/mask_codec.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kMaxVocabularyBytes = int64_t{64} << 20;
constexpr char kVocabularyEnding[] = ".vocabulary.json";

// Replaces what is no UTF-8: a JSON file holds nothing else.
std::string Dump(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

OrderedJson ToJson(const Sample& sample, const Annotation& annotation) {
  OrderedJson json = {{"id", annotation.id}};
  if (!annotation.object_name.empty()) json["object"] = annotation.object_name;
  if (!annotation.part_name.empty()) json["part"] = annotation.part_name;
  if (annotation.parent >= 0) json["parent"] = sample.annotations[annotation.parent].id;
  if (annotation.crowd) json["crowd"] = true;
  if (annotation.stuff) json["stuff"] = true;
  if (annotation.mask.has_value()) {
    json["counts"] = EncodeCocoString(*annotation.mask);
  } else {
    json["box"] = {annotation.box.x0, annotation.box.y0, annotation.box.x1, annotation.box.y1};
  }
  return json;
}

OrderedJson ToJson(const Sample& sample, const std::string& picture) {
  OrderedJson json = {
      {"picture", picture}, {"height", sample.size.height}, {"width", sample.size.width}};
  if (!sample.vocabulary->name.empty()) json["vocabulary"] = sample.vocabulary->name;
  if (!sample.licence.empty()) json["licence"] = sample.licence;
  if (!sample.source.empty()) json["source"] = sample.source;
  if (sample.unknown.has_value()) json["unknown"] = EncodeCocoString(*sample.unknown);
  if (!sample.absent.empty()) json["absent"] = sample.absent;
  json["annotations"] = OrderedJson::array();
  for (const Annotation& annotation : sample.annotations) {
    json["annotations"].push_back(ToJson(sample, annotation));
  }
  return json;
}

absl::Status WriteVocabulary(const std::string& folder, const Vocabulary& vocabulary) {
  if (vocabulary.name.empty()) return absl::OkStatus();
  const std::string path = JoinPath(folder, vocabulary.name + kVocabularyEnding);
  const std::string text = Dump({{"objects", vocabulary.objects},
                                 {"parts", vocabulary.parts},
                                 {"closed_world", vocabulary.closed_world}});
  if (!IsFile(path)) return WriteWholeFile(path, text);
  SEMSAM_ASSIGN_OR_RETURN(const std::string there, ReadWholeFile(path, kMaxVocabularyBytes));
  if (there == text) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": holds another vocabulary of the same name"));
}

absl::StatusOr<RunLengths> ParseMask(const Json& record, const std::string& folder,
                                     ImageSize size) {
  if (FindField(record, "counts") != nullptr) {
    SEMSAM_ASSIGN_OR_RETURN(const std::string counts, TextField(record, "counts"));
    SEMSAM_ASSIGN_OR_RETURN(const RunLengths runs, DecodeCocoString(counts, size));
    return UnionOf(runs, EmptyMask(size));  // without empty runs
  }
  SEMSAM_ASSIGN_OR_RETURN(const std::string name, TextField(record, "mask"));
  if (!StaysInside(name)) {
    return absl::InvalidArgumentError("\"mask\": leads out of the folder");
  }
  const std::string path = JoinPath(folder, name);
  SEMSAM_ASSIGN_OR_RETURN(LabelImage labels, ReadLabelPng(path));
  if (labels.size != size) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": its size is not the picture's"));
  }
  BinaryMask mask{.size = size};
  mask.pixels.reserve(labels.values.size());
  for (const uint32_t value : labels.values) mask.pixels.push_back(value != 0);
  return EncodeRunLengths(mask);
}

absl::StatusOr<Annotation> ParseAnnotation(const Json& record, const std::string& folder,
                                           ImageSize size) {
  Annotation annotation;
  SEMSAM_ASSIGN_OR_RETURN(annotation.id, IntegerField(record, "id"));
  SEMSAM_ASSIGN_OR_RETURN(annotation.object_name, TextField(record, "object", ""));
  SEMSAM_ASSIGN_OR_RETURN(annotation.part_name, TextField(record, "part", ""));
  SEMSAM_ASSIGN_OR_RETURN(annotation.crowd, FlagField(record, "crowd", false));
  SEMSAM_ASSIGN_OR_RETURN(annotation.stuff, FlagField(record, "stuff", false));
  if (const Json* box = FindField(record, "box"); box != nullptr) {
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<double> corners, Numbers(*box));
    if (corners.size() != 4) return absl::InvalidArgumentError("\"box\": must be four numbers");
    annotation.box = {.x0 = corners[0], .y0 = corners[1], .x1 = corners[2], .y1 = corners[3]};
    return annotation;
  }
  SEMSAM_ASSIGN_OR_RETURN(annotation.mask, ParseMask(record, folder, size));
  if (MaskArea(*annotation.mask) == 0) return absl::InvalidArgumentError("the mask is empty");
  annotation.box = TightBox(*annotation.mask);
  return annotation;
}

// Parents are ids in the file; a child may come first.
absl::Status LinkParents(const Json& records, Sample& sample) {
  std::map<int64_t, int> by_id;
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    by_id.emplace(sample.annotations[i].id, static_cast<int>(i));
  }
  for (size_t i = 0; i < sample.annotations.size(); ++i) {
    if (FindField(records[i], "parent") == nullptr) continue;
    SEMSAM_ASSIGN_OR_RETURN(const int64_t parent, IntegerField(records[i], "parent"));
    const auto found = by_id.find(parent);
    if (found == by_id.end()) {
      return absl::InvalidArgumentError(absl::StrCat("annotations[", i, "] (id ",
                                                     sample.annotations[i].id, "): parent ", parent,
                                                     " names no annotation"));
    }
    sample.annotations[i].parent = found->second;
  }
  return absl::OkStatus();
}

absl::Status CheckName(const std::string& name) {
  const bool good = StaysInside(name) && name.find('/') == std::string::npos && name != "." &&
                    name != "dataset" && !absl::EndsWith(name, ".vocabulary");
  return good ? absl::OkStatus()
              : absl::InvalidArgumentError(absl::StrCat("\"", name, "\" cannot name a sample"));
}

}  // namespace

absl::Status Validate(const FolderOptions& options) {
  if (options.jpeg_quality < 0 || options.jpeg_quality > 100) {
    return InvalidField("jpeg_quality", "must be between 0 and 100");
  }
  return absl::OkStatus();
}

absl::Status WriteFolderSample(const std::string& folder, const std::string& name,
                               const LoadedSample& loaded, const FolderOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  SEMSAM_RETURN_IF_ERROR(CheckName(name));
  SEMSAM_RETURN_IF_ERROR(Annotate(CheckSample(loaded.sample), name));
  if (loaded.picture.size != loaded.sample.size) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": the picture has another size"));
  }
  const bool jpeg = options.jpeg_quality > 0;
  SEMSAM_ASSIGN_OR_RETURN(
      const std::string bytes,
      jpeg ? EncodeJpeg(loaded.picture, options.jpeg_quality) : EncodePng(loaded.picture));
  const std::string picture = name + (jpeg ? ".jpg" : ".png");
  SEMSAM_RETURN_IF_ERROR(WriteVocabulary(folder, *loaded.sample.vocabulary));
  SEMSAM_RETURN_IF_ERROR(WriteWholeFile(JoinPath(folder, picture), bytes));
  return WriteWholeFile(JoinPath(folder, name + ".json"), Dump(ToJson(loaded.sample, picture)));
}

absl::Status WriteFolderInfo(const std::string& folder, const DatasetInfo& info) {
  return WriteWholeFile(
      JoinPath(folder, "dataset.json"),
      Dump({{"name", info.name}, {"licence", info.licence}, {"source", info.source}}));
}

absl::StatusOr<Sample> ParseFolderSample(std::string_view text, const std::string& folder,
                                         const std::string& name,
                                         const VocabularyLookup& vocabulary) {
  SEMSAM_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  Sample sample = {.name = name};
  SEMSAM_ASSIGN_OR_RETURN(sample.size, SizeFields(json));
  SEMSAM_ASSIGN_OR_RETURN(const std::string picture, TextField(json, "picture", ""));
  if (!picture.empty() && !StaysInside(picture)) {
    return absl::InvalidArgumentError("\"picture\": leads out of the folder");
  }
  sample.picture_path = picture.empty() ? PictureOfStem(folder, name) : JoinPath(folder, picture);
  SEMSAM_ASSIGN_OR_RETURN(const std::string words, TextField(json, "vocabulary", ""));
  sample.vocabulary = vocabulary(words);
  if (sample.vocabulary == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"vocabulary\": there is no ", words, kVocabularyEnding));
  }
  SEMSAM_ASSIGN_OR_RETURN(sample.licence, TextField(json, "licence", ""));
  SEMSAM_ASSIGN_OR_RETURN(sample.source, TextField(json, "source", ""));
  SEMSAM_ASSIGN_OR_RETURN(sample.absent, TextsField(json, "absent"));
  if (FindField(json, "unknown") != nullptr) {
    SEMSAM_ASSIGN_OR_RETURN(const std::string counts, TextField(json, "unknown"));
    absl::StatusOr<RunLengths> unknown = DecodeCocoString(counts, sample.size);
    if (!unknown.ok()) return Annotate(unknown.status(), "\"unknown\"");
    AddUnknown(sample, *unknown);
  }
  const Json* records = FindField(json, "annotations");
  if (records == nullptr || !records->is_array()) {
    return absl::InvalidArgumentError("\"annotations\": must be a list");
  }
  for (size_t i = 0; i < records->size(); ++i) {
    absl::StatusOr<Annotation> annotation = ParseAnnotation((*records)[i], folder, sample.size);
    if (!annotation.ok()) {
      const absl::StatusOr<int64_t> id = IntegerField((*records)[i], "id");
      return Annotate(
          annotation.status(),
          absl::StrCat("annotations[", i, "]", id.ok() ? absl::StrCat(" (id ", *id, ")") : ""));
    }
    sample.annotations.push_back(*std::move(annotation));
  }
  SEMSAM_RETURN_IF_ERROR(LinkParents(*records, sample));
  return sample;
}

absl::StatusOr<Vocabulary> ParseVocabulary(std::string_view text) {
  SEMSAM_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  Vocabulary vocabulary;
  SEMSAM_ASSIGN_OR_RETURN(vocabulary.objects, TextsField(json, "objects"));
  SEMSAM_ASSIGN_OR_RETURN(vocabulary.parts, TextsField(json, "parts"));
  SEMSAM_ASSIGN_OR_RETURN(vocabulary.closed_world, FlagField(json, "closed_world", false));
  return vocabulary;
}

}  // namespace semsam
