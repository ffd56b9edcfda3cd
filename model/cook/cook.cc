#include "model/cook/cook.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/cook/backdrops.h"
#include "model/cook/icon_names.h"
#include "model/cook/name_plan.h"
#include "model/cook/photo_cook.h"
#include "model/cook/scene_cook.h"
#include "model/cook/sprite_source.h"
#include "model/data/catalog.h"
#include "model/data/files.h"
#include "model/data/folder_sample.h"
#include "model/data/vocabulary_builder.h"

namespace semsam {
namespace {

constexpr int64_t kMaxNounBytes = int64_t{64} << 20;
constexpr int64_t kMaxVocabularyBytes = int64_t{64} << 20;

enum class Theme { kIcons, kClipart, kCutouts, kFaces, kPets, kPeople };
enum class Part { kTrain, kHeldOut, kUnseenStyle };

struct PackPlan {
  std::string_view name;
  Theme theme = Theme::kIcons;
  Part part = Part::kTrain;
  size_t scenes = 0;  // of CookOptions::share 1; photographs come all
  SceneCookOptions scene;
};

constexpr SceneCookOptions kFaceScenes = {.alone_chance = 0.8, .max_sprites = 3};
constexpr SceneCookOptions kCutoutScenes = {
    .alone_chance = 0, .max_sprites = 6, .photograph_chance = 0.75};

constexpr std::array<PackPlan, 13> kPlans = {{
    {.name = "icons", .theme = Theme::kIcons, .scenes = 4500},
    {.name = "icons-unseen-names", .theme = Theme::kIcons, .part = Part::kHeldOut, .scenes = 300},
    {.name = "icons-unseen-style",
     .theme = Theme::kIcons,
     .part = Part::kUnseenStyle,
     .scenes = 300},
    {.name = "clipart", .theme = Theme::kClipart, .scenes = 1800},
    {.name = "clipart-held-out", .theme = Theme::kClipart, .part = Part::kHeldOut, .scenes = 200},
    {.name = "cutouts", .theme = Theme::kCutouts, .scenes = 1800, .scene = kCutoutScenes},
    {.name = "cutouts-held-out",
     .theme = Theme::kCutouts,
     .part = Part::kHeldOut,
     .scenes = 200,
     .scene = kCutoutScenes},
    {.name = "faces", .theme = Theme::kFaces, .scenes = 900, .scene = kFaceScenes},
    {.name = "faces-held-out",
     .theme = Theme::kFaces,
     .part = Part::kHeldOut,
     .scenes = 100,
     .scene = kFaceScenes},
    {.name = "pets", .theme = Theme::kPets},
    {.name = "pets-held-out", .theme = Theme::kPets, .part = Part::kHeldOut},
    {.name = "people", .theme = Theme::kPeople},
    {.name = "people-held-out", .theme = Theme::kPeople, .part = Part::kHeldOut},
}};

// Photographs behind sprites: at most this many of each set.
struct BackgroundSet {
  const char* folder;
  size_t limit;
};
constexpr std::array<BackgroundSet, 4> kBackgroundSets = {{{.folder = "coco", .limit = 160},
                                                           {.folder = "coco_panoptic", .limit = 24},
                                                           {.folder = "facades", .limit = 60},
                                                           {.folder = "cats", .limit = 80}}};

// Folders of Open Clip Art without pictures of things.
const char* const kNoClipart[] = {"buttons/",
                                  "computer/buttons/",
                                  "computer/icons/",
                                  "geography/",
                                  "logos/",
                                  "recreation/games/",
                                  "shapes/",
                                  "signs_and_symbols/",
                                  "special/",
                                  "transportation/aiga-symbols/",
                                  "transportation/roadsigns/",
                                  "unsorted/"};

constexpr char kFluentSource[] = "Fluent Emoji, Microsoft";

bool IsPhotographs(Theme theme) { return theme == Theme::kPets || theme == Theme::kPeople; }

// A number of its own for each pack (FNV-1a).
uint64_t SeedOf(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

// Everything that is opened once.
class Larder {
 public:
  static absl::StatusOr<std::unique_ptr<Larder>> Open(const CookOptions& options) {
    std::unique_ptr<Larder> larder(new Larder(options));
    SEMSAM_RETURN_IF_ERROR(larder->OpenSources());
    SEMSAM_RETURN_IF_ERROR(larder->OpenPhotographs());
    return larder;
  }

  // The sprites of a pack.
  SpriteShelf Shelf(Theme theme, Part part) const {
    SpriteShelf shelf;
    for (const SpriteSource* source : SourcesOf(theme)) {
      for (size_t i = 0; i < source->entries().size(); ++i) {
        if (PartOf(*source, i) == part) shelf.Add({.source = source, .index = i});
      }
    }
    return shelf;
  }

  // What a pack's samples may be called: to train on, the names of its own shelf alone;
  // to test, all names of the theme.
  std::shared_ptr<const Vocabulary> Words(std::string_view pack, Theme theme, Part part) const {
    std::set<std::string> names;
    for (const Part each : {Part::kTrain, Part::kHeldOut, Part::kUnseenStyle}) {
      if (part == Part::kTrain && each != part) continue;
      for (const std::string& name : Shelf(theme, each).names()) names.insert(name);
    }
    VocabularyBuilder words(pack);
    for (const std::string& name : names) words.AddObject(name);
    if (theme == Theme::kFaces) {
      for (const char* const word : {"head", "face", "hair", "body", "jersey", "ear", "eye",
                                     "eyebrow", "mouth", "nose", "beard", "glasses", "headgear"}) {
        words.AddPart(word);
      }
    }
    return words.Build(/*closed_world=*/false);
  }

  const Photographs& photographs(Part part) const {
    return part == Part::kHeldOut ? held_out_photographs_ : photographs_;
  }

 private:
  explicit Larder(const CookOptions& options) : options_(options) {}

  absl::Status OpenSources() {
    const auto path = [this](std::string_view name) { return JoinPath(options_.data, name); };
    SEMSAM_ASSIGN_OR_RETURN(
        noto_,
        OpenIcons(path("icons/noto.json.gz"),
                  {.name = "noto", .licence = "Apache-2.0", .source = "Noto Emoji, Google"}));
    SEMSAM_ASSIGN_OR_RETURN(
        flat_, OpenIcons(path("icons/fluent-emoji-flat.json.gz"),
                         {.name = "fluent-flat", .licence = "MIT", .source = kFluentSource}));
    SEMSAM_ASSIGN_OR_RETURN(
        shaded_, OpenIcons(path("icons/fluent-emoji.json.gz"),
                           {.name = "fluent-shaded", .licence = "MIT", .source = kFluentSource}));
    SEMSAM_ASSIGN_OR_RETURN(
        cutouts_, OpenCutouts(path("cutouts"), {.name = "fluent-3d",
                                                .licence = "MIT",
                                                .source = "Fluent Emoji (3D), Microsoft"}));
    SEMSAM_ASSIGN_OR_RETURN(faces_,
                            OpenFaces(path("faces/faces.svgl.gz"),
                                      {.name = "faces",
                                       .licence = "Apache-2.0",
                                       .source = "facesjs 5.0.3, D. Scheffler and others"}));
    std::vector<const SpriteSource*> named = {noto_.get(), flat_.get(), shaded_.get(),
                                              cutouts_.get()};
    if (!options_.clipart.empty()) {
      std::set<std::string> nouns;
      if (!options_.nouns.empty()) {
        SEMSAM_ASSIGN_OR_RETURN(const std::string text,
                                ReadWholeFile(options_.nouns, kMaxNounBytes));
        nouns = ParseNouns(text);
      }
      SEMSAM_ASSIGN_OR_RETURN(
          clipart_,
          OpenClipart(options_.clipart, nouns, {std::begin(kNoClipart), std::end(kNoClipart)},
                      {.name = "openclipart",
                       .licence = "public domain",
                       .source = "Open Clip Art Library, its contributors"}));
      named.push_back(clipart_.get());
    }
    plan_ = std::make_unique<NamePlan>(named);
    unseen_style_ = NamesForUnseenStyle(*plan_, *shaded_, {noto_.get(), flat_.get()});
    return absl::OkStatus();
  }

  absl::Status OpenPhotographs() {
    for (const BackgroundSet& set : kBackgroundSets) {
      SEMSAM_ASSIGN_OR_RETURN(const DatasetSpec spec,
                              CollectionSpec(JoinPath(options_.data, set.folder)));
      SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(spec));
      const Split split = SplitEveryTenth(dataset->size());
      SEMSAM_RETURN_IF_ERROR(photographs_.Add(*dataset, split.train, set.limit));
      SEMSAM_RETURN_IF_ERROR(held_out_photographs_.Add(*dataset, split.held_out, set.limit / 4));
    }
    return absl::OkStatus();
  }

  std::vector<const SpriteSource*> SourcesOf(Theme theme) const {
    switch (theme) {
      case Theme::kIcons:
        return {noto_.get(), flat_.get(), shaded_.get()};
      case Theme::kClipart:
        if (clipart_ == nullptr) return {};
        return {clipart_.get()};
      case Theme::kCutouts:
        return {cutouts_.get()};
      case Theme::kFaces:
        return {faces_.get()};
      case Theme::kPets:
      case Theme::kPeople:
        break;
    }
    return {};
  }

  Part PartOf(const SpriteSource& source, size_t index) const {
    const SpriteSource::Entry& entry = source.entries()[index];
    // All faces have one name.
    if (&source == faces_.get()) return index % 10 == 9 ? Part::kHeldOut : Part::kTrain;
    if (plan_->HeldOut(entry, index)) return Part::kHeldOut;
    const bool style = &source == shaded_.get() && unseen_style_.contains(entry.object_name);
    return style ? Part::kUnseenStyle : Part::kTrain;
  }

  const CookOptions& options_;
  std::unique_ptr<SpriteSource> noto_, flat_, shaded_, cutouts_, faces_, clipart_;
  std::unique_ptr<NamePlan> plan_;
  std::set<std::string> unseen_style_;
  Photographs photographs_, held_out_photographs_;
};

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
  const SpriteShelf shelf = larder.Shelf(plan.theme, plan.part);
  cooked.sprites = shelf.size();
  const std::shared_ptr<const Vocabulary> words = larder.Words(plan.name, plan.theme, plan.part);
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
  const bool pets = plan.theme == Theme::kPets;
  SEMSAM_ASSIGN_OR_RETURN(const DatasetSpec spec,
                          CollectionSpec(JoinPath(options.data, pets ? "pets" : "people")));
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(spec));
  const Split split = SplitEveryTenth(dataset->size());
  const std::vector<size_t>& indices = plan.part == Part::kTrain ? split.train : split.held_out;
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
    if (plan.theme == Theme::kClipart && options.clipart.empty()) continue;
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
  if (options.data.empty()) return InvalidField("data", "needs the folder of the collection");
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
    if (larder == nullptr && !IsPhotographs(plan.theme)) {
      SEMSAM_ASSIGN_OR_RETURN(larder, Larder::Open(options));
    }
    absl::StatusOr<CookedPack> cooked = IsPhotographs(plan.theme)
                                            ? CookPhotographs(plan, options)
                                            : CookScenes(plan, options, *larder);
    if (!cooked.ok()) {
      return Annotate(cooked.status(), absl::StrCat("pack ", std::string(plan.name)));
    }
    cooked->taken = clock.Now() - start;
    done(*cooked);
  }
  return WriteWords(options.out);
}

}  // namespace semsam
