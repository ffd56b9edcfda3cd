#include "model/tools/eval/sample_pictures.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/clicks.h"
#include "model/data/files.h"
#include "model/data/folder_sample.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

constexpr int64_t kMaxWordFileBytes = int64_t{16} << 20;

std::map<std::string, int> Numbered(const std::vector<std::string>& names) {
  std::map<std::string, int> labels;
  for (size_t i = 0; i < names.size(); ++i) labels.emplace(names[i], static_cast<int>(i));
  return labels;
}

absl::Status CheckDistinct(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty()) return absl::InvalidArgumentError("a name is empty");
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" occurs twice"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LabelWords> ParseLabelWords(const std::string& text) {
  LabelWords words;
  if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "{")) {
    SEMSAM_ASSIGN_OR_RETURN(Vocabulary vocabulary, ParseVocabulary(text));
    words = {.objects = std::move(vocabulary.objects), .parts = std::move(vocabulary.parts)};
  } else {
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const absl::string_view name = absl::StripAsciiWhitespace(line);
      if (!name.empty()) words.objects.emplace_back(name);
    }
  }
  SEMSAM_RETURN_IF_ERROR(CheckDistinct(words.objects));
  SEMSAM_RETURN_IF_ERROR(CheckDistinct(words.parts));
  if (words.objects.empty() && words.parts.empty()) {
    return absl::InvalidArgumentError("holds no word");
  }
  return words;
}

// A group of figures: "car", and "car: wheel" for its part.
std::string CategoryOf(const Annotation& annotation) {
  if (annotation.part_name.empty()) return annotation.object_name;
  if (annotation.object_name.empty()) return annotation.part_name;
  return absl::StrCat(annotation.object_name, ": ", annotation.part_name);
}

uint64_t Hash(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return hash;
}

PicturePoint Centre(ClickPixel pixel) { return {.x = pixel.x + 0.5, .y = pixel.y + 0.5}; }

}  // namespace

absl::StatusOr<LabelWords> ReadLabelWords(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxWordFileBytes));
  absl::StatusOr<LabelWords> words = ParseLabelWords(text);
  if (!words.ok()) return Annotate(words.status(), path);
  return words;
}

std::string_view ClickRuleName(ClickRule rule) {
  return rule == ClickRule::kDeepest ? "deepest" : "random";
}

SamplePictures::SamplePictures(const DataSource& source, const LabelWords& words,
                               PictureOptions options)
    : source_(source),
      options_(std::move(options)),
      object_labels_(Numbered(words.objects)),
      part_labels_(Numbered(words.parts)) {}

absl::StatusOr<std::optional<EvaluationPicture>> SamplePictures::Next() {
  while (next_ < source_.samples.size()) {
    const size_t index = source_.samples[next_++];
    absl::StatusOr<LoadedSample> loaded = LoadWithPicture(*source_.dataset, index);
    if (!loaded.ok()) {
      const std::string name = source_.dataset->name(index);
      if (!options_.keep_going) {
        return Annotate(loaded.status(), absl::StrCat(source_.name, ": ", name));
      }
      failed_.push_back({.name = name, .error = std::string(loaded.status().message())});
      continue;
    }
    EvaluationPicture picture = MakePicture(*loaded);
    if (options_.keep_samples) {
      MutexLock lock(mutex_);
      kept_[picture.name] = {.index = static_cast<int64_t>(index),
                             .sample = std::move(loaded->sample)};
    }
    return picture;
  }
  return std::nullopt;
}

EvaluationPicture SamplePictures::MakePicture(LoadedSample& loaded) {
  const Sample& sample = loaded.sample;
  EvaluationPicture picture{
      .name = sample.name, .set = source_.name, .image = std::move(loaded.picture)};
  Random random = Random::ForStream(options_.seed, Hash(sample.name));
  for (const Annotation& annotation : sample.annotations) {
    // What is known by its box alone has no mask to be compared with.
    if (!annotation.mask.has_value()) continue;
    if (MaskArea(*annotation.mask) < std::max<int64_t>(options_.min_area_px, 1)) continue;
    picture.targets.push_back(MakeTarget(sample, annotation, random));
  }
  return picture;
}

EvaluationTarget SamplePictures::MakeTarget(const Sample& sample, const Annotation& annotation,
                                            Random& random) {
  EvaluationTarget target{
      .mask = *annotation.mask, .crowd = annotation.crowd, .category = CategoryOf(annotation)};
  if (source_.unsure_borders && sample.unknown.has_value()) {
    target.unsure = DifferenceOf(*sample.unknown, target.mask);
  }
  if (annotation.part_name.empty()) {
    target.object_labels = LabelsOf(annotation.object_name, object_labels_);
  } else {
    target.part_labels = LabelsOf(annotation.part_name, part_labels_);
  }
  if (target.crowd) return target;
  for (size_t kind = 0; kind < options_.clicks.size(); ++kind) {
    const std::optional<ClickPixel> pixel = options_.clicks[kind] == ClickRule::kDeepest
                                                ? DeepestPixel(target.mask)
                                                : UniformInteriorPixel(target.mask, random);
    if (pixel.has_value()) {
      target.clicks.push_back({.kind = static_cast<int>(kind), .at = Centre(*pixel)});
    }
  }
  return target;
}

std::vector<int> SamplePictures::LabelsOf(const std::string& name,
                                          const std::map<std::string, int>& labels) {
  if (name.empty()) return {};
  const auto found = labels.find(name);
  if (found != labels.end()) return {found->second};
  ++unknown_names_;
  return {};
}

std::optional<SamplePictures::KeptSample> SamplePictures::TakeSample(const std::string& picture) {
  MutexLock lock(mutex_);
  auto node = kept_.extract(picture);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

}  // namespace semsam
