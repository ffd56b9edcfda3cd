#include "model/cook/cook.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/cook/larder.h"
#include "model/cook/photo_cook.h"
#include "model/cook/scene_cook.h"
#include "model/cook/sprite_source.h"
#include "model/data/catalog.h"
#include "model/data/files.h"
#include "model/data/folder_sample.h"
#include "model/data/held_out.h"

namespace semsam {
namespace {

constexpr int64_t kMaxVocabularyBytes = int64_t{64} << 20;

enum class Photo { kPets, kPeople };

struct PackPlan {
  std::string_view name;
  std::variant<SpriteTheme, Photo> theme;
  PackPart part = PackPart::kTrain;
  size_t scenes = 0;  // of CookOptions::share 1; photographs come all
  SceneCookOptions scene;
};

constexpr SceneCookOptions kFaceScenes = {.alone_chance = 0.8, .max_sprites = 3};
constexpr SceneCookOptions kCutoutScenes = {
    .alone_chance = 0, .max_sprites = 6, .photograph_chance = 0.75};

constexpr std::array<PackPlan, 13> kPlans = {{
    {.name = "icons", .theme = SpriteTheme::kIcons, .scenes = 4500},
    {.name = "icons-unseen-names",
     .theme = SpriteTheme::kIcons,
     .part = PackPart::kHeldOut,
     .scenes = 300},
    {.name = "icons-unseen-style",
     .theme = SpriteTheme::kIcons,
     .part = PackPart::kUnseenStyle,
     .scenes = 300},
    {.name = "clipart", .theme = SpriteTheme::kClipart, .scenes = 1800},
    {.name = "clipart-held-out",
     .theme = SpriteTheme::kClipart,
     .part = PackPart::kHeldOut,
     .scenes = 200},
    {.name = "cutouts", .theme = SpriteTheme::kCutouts, .scenes = 1800, .scene = kCutoutScenes},
    {.name = "cutouts-held-out",
     .theme = SpriteTheme::kCutouts,
     .part = PackPart::kHeldOut,
     .scenes = 200,
     .scene = kCutoutScenes},
    {.name = "faces", .theme = SpriteTheme::kFaces, .scenes = 900, .scene = kFaceScenes},
    {.name = "faces-held-out",
     .theme = SpriteTheme::kFaces,
     .part = PackPart::kHeldOut,
     .scenes = 100,
     .scene = kFaceScenes},
    {.name = "pets", .theme = Photo::kPets},
    {.name = "pets-held-out", .theme = Photo::kPets, .part = PackPart::kHeldOut},
    {.name = "people", .theme = Photo::kPeople},
    {.name = "people-held-out", .theme = Photo::kPeople, .part = PackPart::kHeldOut},
}};

bool IsOfPhotographs(const PackPlan& plan) { return std::holds_alternative<Photo>(plan.theme); }

// A number of its own for each pack (FNV-1a).
uint64_t SeedOf(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

// Licences or sources of several, each once.
std::string Joined(const std::vector<const SpriteSource*>& sources,
                   std::string SourceInfo::*field) {
  std::set<std::string> texts;
  for (const SpriteSource* source : sources) texts.insert(source->info().*field);
  return absl::StrCat(absl::StrJoin(texts, "; "), "; photographs behind as each sample says");
}

absl::StatusOr<CookedPack> CookScenes(const PackPlan& plan, const CookOptions& options,
                                      const Larder& larder) {
  CookedPack cooked{.name = std::string(plan.name)};
  const auto theme = std::get<SpriteTheme>(plan.theme);
  const SpriteShelf shelf = larder.Shelf(theme, plan.part);
  cooked.sprites = shelf.size();
  const std::shared_ptr<const Vocabulary> words = larder.Words(plan.name, theme, plan.part);
  LeftOut left_out(options.max_broken);
  const uint64_t seed = SeedOf(options.seed, plan.name);
  const MakeSample make = [&](size_t index) -> absl::StatusOr<LoadedSample> {
    Random random = Random::ForStream(seed, index);
    SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded, CookScene(shelf, larder.photographs(plan.part),
                                                           plan.scene, left_out, random));
    loaded.sample.vocabulary = words;
    return loaded;
  };
  const DatasetInfo info{.name = cooked.name,
                         .licence = Joined(shelf.sources(), &SourceInfo::licence),
                         .source = Joined(shelf.sources(), &SourceInfo::source)};
  const auto count =
      std::max<size_t>(1, static_cast<size_t>(static_cast<double>(plan.scenes) * options.share));
  SEMSAM_ASSIGN_OR_RETURN(cooked.counts, WritePack(JoinPath(options.out, plan.name), info, count,
                                                   make, options.writing));
  cooked.broken = left_out.broken();
  cooked.unsuitable = left_out.unsuitable();
  return cooked;
}

absl::StatusOr<CookedPack> CookPhotographs(const PackPlan& plan, const CookOptions& options) {
  const bool pets = std::get<Photo>(plan.theme) == Photo::kPets;
  SEMSAM_ASSIGN_OR_RETURN(const DatasetSpec spec,
                          CollectionSpec(JoinPath(options.sources.data, pets ? "pets" : "people")));
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(spec));
  const Split split = SplitHeldOut(dataset->size());
  const std::vector<size_t>& indices = plan.part == PackPart::kTrain ? split.train : split.held_out;
  const std::shared_ptr<const Vocabulary> words = WithPseudoParts(*dataset->info().vocabulary);
  const MakeSample make = [&](size_t index) -> absl::StatusOr<LoadedSample> {
    SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded, LoadWithPicture(*dataset, indices[index]));
    ListAbsentObjects(loaded.sample);
    if (pets) {
      AddAnimalParts(loaded.sample);
    } else {
      SEMSAM_RETURN_IF_ERROR(AddClothesGroups(loaded.sample));
    }
    loaded.sample.vocabulary = words;
    return loaded;
  };
  CookedPack cooked{.name = std::string(plan.name), .sprites = indices.size()};
  const DatasetInfo info{
      .name = cooked.name, .licence = dataset->info().licence, .source = dataset->info().source};
  SEMSAM_ASSIGN_OR_RETURN(cooked.counts, WritePack(JoinPath(options.out, plan.name), info,
                                                   indices.size(), make, options.writing));
  return cooked;
}

// The packs that are asked for and can be cooked.
std::vector<PackPlan> Chosen(const CookOptions& options) {
  std::vector<PackPlan> chosen;
  for (const PackPlan& plan : kPlans) {
    if (plan.theme == std::variant<SpriteTheme, Photo>(SpriteTheme::kClipart) &&
        options.sources.clipart.empty())
      continue;
    const bool asked =
        options.packs.empty() ||
        std::find(options.packs.begin(), options.packs.end(), plan.name) != options.packs.end();
    if (asked) chosen.push_back(plan);
  }
  return chosen;
}

absl::Status WriteWords(const std::string& out) {
  std::error_code error;
  std::set<std::string> words;
  std::filesystem::directory_iterator packs(out, error);
  if (error) return FileError(out, error.value());
  for (; packs != std::filesystem::directory_iterator(); packs.increment(error)) {
    const std::string pack = packs->path().string();
    if (packs->path().extension() == ".partial" || !IsFolder(pack)) continue;
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListFolder(pack, {".vocabulary.json"}));
    for (const std::string& name : names) {
      const std::string path = JoinPath(pack, name);
      SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, kMaxVocabularyBytes));
      const absl::StatusOr<Vocabulary> vocabulary = ParseVocabulary(text);
      if (!vocabulary.ok()) return Annotate(vocabulary.status(), path);
      words.insert(vocabulary->objects.begin(), vocabulary->objects.end());
      words.insert(vocabulary->parts.begin(), vocabulary->parts.end());
    }
  }
  if (error) return FileError(out, error.value());
  return WriteWholeFile(JoinPath(out, "words.txt"), absl::StrCat(absl::StrJoin(words, "\n"), "\n"));
}

}  // namespace

std::vector<std::string> PackNames() {
  std::vector<std::string> names;
  for (const PackPlan& plan : kPlans) names.emplace_back(plan.name);
  return names;
}

absl::Status Validate(const CookOptions& options) {
  if (options.sources.data.empty())
    return InvalidField("data", "needs the folder of the collection");
  if (options.out.empty()) return InvalidField("out", "needs the folder of the packs");
  if (!(options.share >= 0.001) || !(options.share <= 100)) {
    return InvalidField("share", "must be between 0.001 and 100");
  }
  const std::vector<std::string> known = PackNames();
  for (const std::string& pack : options.packs) {
    if (std::find(known.begin(), known.end(), pack) == known.end()) {
      return InvalidField("packs", absl::StrCat("there is no \"", pack,
                                                "\"; there are: ", absl::StrJoin(known, ", ")));
    }
  }
  return PrependField(Validate(options.writing), "writing");
}

absl::Status Cook(const CookOptions& options, const Clock& clock,
                  const std::function<void(const CookedPack&)>& done) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  const std::vector<PackPlan> plans = Chosen(options);
  for (const PackPlan& plan : plans) {
    const std::string path = JoinPath(options.out, plan.name);
    if (IsFolder(path)) {
      return absl::AlreadyExistsError(absl::StrCat(path, ": is there already; remove it first"));
    }
  }
  std::unique_ptr<Larder> larder;
  for (const PackPlan& plan : plans) {
    const absl::Time start = clock.Now();
    if (larder == nullptr && !IsOfPhotographs(plan)) {
      SEMSAM_ASSIGN_OR_RETURN(larder, Larder::Open(options.sources));
    }
    absl::StatusOr<CookedPack> cooked =
        IsOfPhotographs(plan) ? CookPhotographs(plan, options) : CookScenes(plan, options, *larder);
    if (!cooked.ok()) {
      return Annotate(cooked.status(), absl::StrCat("pack ", std::string(plan.name)));
    }
    cooked->taken = clock.Now() - start;
    done(*cooked);
  }
  return WriteWords(options.out);
}

}  // namespace semsam
