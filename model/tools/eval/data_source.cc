#include "model/tools/eval/data_source.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/catalog.h"
#include "model/data/coco_index.h"
#include "model/data/files.h"
#include "model/data/folder_sample.h"
#include "model/data/scene_generator.h"
#include "model/data/vocabulary_builder.h"

namespace semsam {
namespace {

constexpr absl::string_view kScenes = "scenes";
constexpr char kVocabularyEnding[] = ".vocabulary.json";
constexpr int64_t kMaxVocabularyBytes = int64_t{64} << 20;
constexpr int64_t kMaxScenes = 1'000'000;

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// "coco" of "coco:images=..."; empty where the item has no format.
std::string_view FormatOf(std::string_view item) {
  const size_t colon = item.find(':');
  if (colon == std::string_view::npos) return {};
  const std::string_view word = item.substr(0, colon);
  const bool known = std::find(kDatasetFormatNames.begin(), kDatasetFormatNames.end(), word) !=
                     kDatasetFormatNames.end();
  return known || word == "collection" || ToAbsl(word) == kScenes ? word : std::string_view();
}

absl::StatusOr<int64_t> SceneNumber(absl::string_view key, absl::string_view value, int64_t least,
                                    int64_t most) {
  int64_t number = 0;
  if (absl::SimpleAtoi(value, &number) && number >= least && number <= most) return number;
  return absl::InvalidArgumentError(absl::StrCat(key, ": must be a whole number of ", least, " to ",
                                                 most, ", not \"", value, "\""));
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenSceneSpec(absl::string_view keys) {
  SceneOptions options;
  int64_t count = 100, seed = 1;
  for (const absl::string_view entry : absl::StrSplit(keys, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    if (pair.first == "count") {
      SEMSAM_ASSIGN_OR_RETURN(count, SceneNumber("count", pair.second, 1, kMaxScenes));
    } else if (pair.first == "seed") {
      SEMSAM_ASSIGN_OR_RETURN(
          seed, SceneNumber("seed", pair.second, 0, std::numeric_limits<int64_t>::max()));
    } else if (pair.first == "side") {
      SEMSAM_ASSIGN_OR_RETURN(const int64_t side, SceneNumber("side", pair.second, 32, 4096));
      options.size = {.height = static_cast<int>(side), .width = static_cast<int>(side)};
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown key \"", pair.first, "\"; there are: count, seed, side"));
    }
  }
  return OpenScenes(options, static_cast<uint64_t>(seed), static_cast<size_t>(count));
}

absl::StatusOr<DatasetSpec> SpecOfPath(const std::string& path) {
  std::string folder = path;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (!IsFolder(folder)) {
    return absl::NotFoundError(absl::StrCat(path, ": no folder, and no format before a ':'"));
  }
  const std::string_view name = BaseName(folder);
  // A folder that was written by us says so, whatever it is called.
  const bool ours = IsFile(JoinPath(folder, "dataset.json"));
  if (!ours && std::find(kCollectionFolders.begin(), kCollectionFolders.end(), name) !=
                   kCollectionFolders.end()) {
    return CollectionSpec(folder);
  }
  return DatasetSpec{.format = DatasetFormat::kFolder, .images = folder};
}

// Samples of a folder may speak of several vocabularies.
absl::StatusOr<Vocabulary> FolderVocabulary(const DatasetSpec& spec) {
  VocabularyBuilder builder("union");
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> files,
                          ListFolder(spec.images, {kVocabularyEnding}));
  for (const std::string& file : files) {
    const std::string path = JoinPath(spec.images, file);
    SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxVocabularyBytes));
    const absl::StatusOr<Vocabulary> one = ParseVocabulary(text);
    if (!one.ok()) return Annotate(one.status(), path);
    for (const std::string& object : one->objects) builder.AddObject(object);
    for (const std::string& part : one->parts) builder.AddPart(part);
  }
  return *builder.Build(/*closed_world=*/false);
}

// Names as the reader of panoptic sets makes them: the first of several synonyms.
absl::Status ReadStuff(const DatasetSpec& spec, DataSource& source) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<CocoIndex> index,
                          CocoIndex::Open(spec.annotations));
  for (const CocoCategory& category : index->categories()) {
    if (!category.thing) source.stuff.insert(category.name.substr(0, category.name.find(',')));
  }
  return absl::OkStatus();
}

absl::Status OpenFiles(const std::string& text, DataSource& source) {
  absl::StatusOr<DatasetSpec> spec =
      FormatOf(text).empty() ? SpecOfPath(text) : ParseDatasetSpec(text);
  SEMSAM_RETURN_IF_ERROR(spec.status());
  SEMSAM_ASSIGN_OR_RETURN(source.dataset, OpenDataset(*spec));
  source.format = spec->format;
  source.vocabulary = *source.dataset->info().vocabulary;
  source.panoptic = spec->format == DatasetFormat::kCocoPanoptic;
  source.unsure_borders =
      spec->format == DatasetFormat::kLabelMaps && !spec->label_rules.unknown.empty();
  if (source.panoptic) SEMSAM_RETURN_IF_ERROR(ReadStuff(*spec, source));
  if (spec->format == DatasetFormat::kFolder) {
    SEMSAM_ASSIGN_OR_RETURN(source.vocabulary, FolderVocabulary(*spec));
  }
  return absl::OkStatus();
}

// The sets of a collection, where `path` is the folder of one; else the spec itself.
std::vector<std::string> ExpandCollection(const std::string& spec) {
  std::vector<std::string> folders;
  if (FormatOf(spec).empty() && !IsFile(JoinPath(spec, "dataset.json"))) {
    for (const std::string_view name : kCollectionFolders) {
      const std::string folder = JoinPath(spec, name);
      if (IsFolder(folder)) folders.push_back(folder);
    }
  }
  if (folders.empty()) folders.push_back(spec);
  return folders;
}

std::vector<size_t> Choose(size_t size, const SampleChoice& choice) {
  std::vector<size_t> chosen(size);
  std::iota(chosen.begin(), chosen.end(), size_t{0});
  Split split = SplitHeldOut(size, choice.held_out_every);
  if (choice.part == SampleChoice::Part::kHeldOut) chosen = std::move(split.held_out);
  if (choice.part == SampleChoice::Part::kTrain) chosen = std::move(split.train);
  return choice.limit == 0 ? chosen : SpreadOver(chosen, choice.limit);
}

}  // namespace

std::vector<std::string> SplitDataSpecs(std::string_view list) {
  std::vector<std::string> specs;
  for (const absl::string_view item : absl::StrSplit(ToAbsl(list), ',', absl::SkipEmpty())) {
    const bool begins = specs.empty() || !absl::StrContains(item, '=') ||
                        !FormatOf({item.data(), item.size()}).empty();
    if (begins) {
      specs.emplace_back(item);
    } else {
      absl::StrAppend(&specs.back(), ",", item);
    }
  }
  return specs;
}

absl::StatusOr<DataSource> OpenDataSource(const std::string& spec, const SampleChoice& choice) {
  DataSource source;
  if (ToAbsl(FormatOf(spec)) == kScenes) {
    auto scenes = OpenSceneSpec(ToAbsl(spec).substr(kScenes.size() + 1));
    if (!scenes.ok()) return Annotate(scenes.status(), spec);
    source.dataset = *std::move(scenes);
    source.vocabulary = *source.dataset->info().vocabulary;
  } else {
    SEMSAM_RETURN_IF_ERROR(Annotate(OpenFiles(spec, source), spec));
  }
  source.name = source.dataset->info().name;
  source.samples = Choose(source.dataset->size(), choice);
  return source;
}

absl::StatusOr<std::vector<DataSource>> OpenDataSources(std::string_view list,
                                                        const SampleChoice& choice) {
  std::vector<DataSource> sources;
  std::set<std::string> names;
  std::vector<std::string> specs;
  for (const std::string& item : SplitDataSpecs(list)) {
    for (std::string& spec : ExpandCollection(item)) specs.push_back(std::move(spec));
  }
  for (const std::string& spec : specs) {
    SEMSAM_ASSIGN_OR_RETURN(DataSource source, OpenDataSource(spec, choice));
    if (!names.insert(source.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(spec, ": another source is called \"", source.name,
                       "\" too; give it another with name=, e.g. collection:images=...,name=..."));
    }
    if (source.samples.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(spec, ": none of its ", source.dataset->size(),
                                                     " samples is in the part asked for"));
    }
    sources.push_back(std::move(source));
  }
  if (sources.empty()) return absl::InvalidArgumentError("no data set is named");
  return sources;
}

}  // namespace semsam
