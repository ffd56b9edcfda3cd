#include "model/cook/larder.h"

#include <array>
#include <cstdint>
#include <iterator>
#include <utility>

#include "model/base/status_macros.h"
#include "model/cook/icon_names.h"
#include "model/data/catalog.h"
#include "model/data/dataset.h"
#include "model/data/files.h"
#include "model/data/held_out.h"
#include "model/data/vocabulary_builder.h"

namespace semsam {
namespace {

constexpr int64_t kMaxNounBytes = int64_t{64} << 20;

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

}  // namespace

absl::StatusOr<std::unique_ptr<Larder>> Larder::Open(const LarderOptions& options) {
  std::unique_ptr<Larder> larder(new Larder());
  SEMSAM_RETURN_IF_ERROR(larder->OpenSources(options));
  SEMSAM_RETURN_IF_ERROR(larder->OpenPhotographs(options));
  return larder;
}

absl::Status Larder::OpenSources(const LarderOptions& options) {
  const auto path = [&options](std::string_view name) { return JoinPath(options.data, name); };
  SEMSAM_ASSIGN_OR_RETURN(
      noto_, OpenIcons(path("icons/noto.json.gz"),
                       {.name = "noto", .licence = "Apache-2.0", .source = "Noto Emoji, Google"}));
  SEMSAM_ASSIGN_OR_RETURN(
      flat_, OpenIcons(path("icons/fluent-emoji-flat.json.gz"),
                       {.name = "fluent-flat", .licence = "MIT", .source = kFluentSource}));
  SEMSAM_ASSIGN_OR_RETURN(
      shaded_, OpenIcons(path("icons/fluent-emoji.json.gz"),
                         {.name = "fluent-shaded", .licence = "MIT", .source = kFluentSource}));
  SEMSAM_ASSIGN_OR_RETURN(cutouts_,
                          OpenCutouts(path("cutouts"), {.name = "fluent-3d",
                                                        .licence = "MIT",
                                                        .source = "Fluent Emoji (3D), Microsoft"}));
  SEMSAM_ASSIGN_OR_RETURN(
      faces_, OpenFaces(path("faces/faces.svgl.gz"),
                        {.name = "faces", .licence = "Apache-2.0", .source = "facesjs 5.0.3"}));
  std::vector<const SpriteSource*> named = {noto_.get(), flat_.get(), shaded_.get(),
                                            cutouts_.get()};
  if (!options.clipart.empty()) {
    SEMSAM_RETURN_IF_ERROR(OpenClipartFolder(options));
    named.push_back(clipart_.get());
  }
  plan_ = std::make_unique<NamePlan>(named);
  unseen_style_ = NamesForUnseenStyle(*plan_, *shaded_, {noto_.get(), flat_.get()});
  return absl::OkStatus();
}

absl::Status Larder::OpenClipartFolder(const LarderOptions& options) {
  std::set<std::string> nouns;
  if (!options.nouns.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(options.nouns, kMaxNounBytes));
    nouns = ParseNouns(text);
  }
  SEMSAM_ASSIGN_OR_RETURN(
      clipart_, OpenClipart(options.clipart, nouns, {std::begin(kNoClipart), std::end(kNoClipart)},
                            {.name = "openclipart",
                             .licence = "public domain",
                             .source = "Open Clip Art Library, its contributors"}));
  return absl::OkStatus();
}

absl::Status Larder::OpenPhotographs(const LarderOptions& options) {
  for (const BackgroundSet& set : kBackgroundSets) {
    SEMSAM_ASSIGN_OR_RETURN(const DatasetSpec spec,
                            CollectionSpec(JoinPath(options.data, set.folder)));
    SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(spec));
    const Split split = SplitHeldOut(dataset->size());
    SEMSAM_RETURN_IF_ERROR(photographs_.Add(*dataset, split.train, set.limit));
    SEMSAM_RETURN_IF_ERROR(held_out_photographs_.Add(*dataset, split.held_out, set.limit / 4));
  }
  return absl::OkStatus();
}

std::vector<const SpriteSource*> Larder::SourcesOf(SpriteTheme theme) const {
  switch (theme) {
    case SpriteTheme::kIcons:
      return {noto_.get(), flat_.get(), shaded_.get()};
    case SpriteTheme::kClipart:
      if (clipart_ == nullptr) return {};
      return {clipart_.get()};
    case SpriteTheme::kCutouts:
      return {cutouts_.get()};
    case SpriteTheme::kFaces:
      return {faces_.get()};
  }
  return {};
}

PackPart Larder::PartOf(const SpriteSource& source, size_t index) const {
  const SpriteSource::Entry& entry = source.entries()[index];
  // All faces have one name.
  if (&source == faces_.get()) return IsHeldOut(index) ? PackPart::kHeldOut : PackPart::kTrain;
  if (plan_->HeldOut(entry, index)) return PackPart::kHeldOut;
  const bool style = &source == shaded_.get() && unseen_style_.contains(entry.object_name);
  return style ? PackPart::kUnseenStyle : PackPart::kTrain;
}

SpriteShelf Larder::Shelf(SpriteTheme theme, PackPart part) const {
  SpriteShelf shelf;
  for (const SpriteSource* source : SourcesOf(theme)) {
    for (size_t i = 0; i < source->entries().size(); ++i) {
      if (PartOf(*source, i) == part) shelf.Add({.source = source, .index = i});
    }
  }
  return shelf;
}

std::shared_ptr<const Vocabulary> Larder::Words(std::string_view pack, SpriteTheme theme,
                                                PackPart part) const {
  std::set<std::string> names;
  for (const PackPart each : {PackPart::kTrain, PackPart::kHeldOut, PackPart::kUnseenStyle}) {
    if (part == PackPart::kTrain && each != part) continue;
    for (const std::string& name : Shelf(theme, each).names()) names.insert(name);
  }
  VocabularyBuilder words(pack);
  for (const std::string& name : names) words.AddObject(name);
  if (theme == SpriteTheme::kFaces) {
    for (const char* const word : {"head", "face", "hair", "body", "jersey", "ear", "eye",
                                   "eyebrow", "mouth", "nose", "beard", "glasses", "headgear"}) {
      words.AddPart(word);
    }
  }
  return words.Build(/*closed_world=*/false);
}

}  // namespace semsam
