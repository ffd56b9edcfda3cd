#include "model/training/training_data.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/held_out.h"
#include "model/data/scene_generator.h"
#include "model/torch/catch.h"

namespace semsam {
namespace {

constexpr char kScenes[] = "scenes:";
constexpr int64_t kMaxScenes = 100'000'000;

absl::StatusOr<std::unique_ptr<Dataset>> OpenSceneSource(absl::string_view keys) {
  int64_t count = 1000, size = 320, seed = 1;
  const std::pair<absl::string_view, int64_t*> known[] = {
      {"count", &count}, {"size", &size}, {"seed", &seed}};
  for (const absl::string_view entry : absl::StrSplit(keys, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const auto* const found =
        std::find_if(std::begin(known), std::end(known),
                     [&](const auto& key) { return key.first == pair.first; });
    if (found == std::end(known) || !absl::SimpleAtoi(pair.second, found->second)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", entry, "\": scenes have count=N, size=PX and seed=N"));
    }
  }
  if (count < 1 || count > kMaxScenes || size < 32 || size > 4096 || seed < 0) {
    return absl::InvalidArgumentError("scenes: count, size or seed is out of range");
  }
  const int side = static_cast<int>(size);
  return OpenScenes({.size = {.height = side, .width = side}}, static_cast<uint64_t>(seed),
                    static_cast<size_t>(count));
}

// `own` and a random choice of the other `names`, `limit` at most, in the order of
// `names`: nothing about the order tells which are there.
WordList ChooseWords(const std::set<std::string>& own, const std::vector<std::string>& names,
                     size_t limit, Random& random) {
  std::vector<std::string> others;
  for (const std::string& name : names) {
    if (!own.contains(name)) others.push_back(name);
  }
  random.Shuffle(std::span<std::string>(others));
  const size_t room = limit > own.size() ? limit - own.size() : 0;
  if (others.size() > room) others.resize(room);
  std::set<std::string> chosen(others.begin(), others.end());
  chosen.insert(own.begin(), own.end());
  return WordList({chosen.begin(), chosen.end()});
}

at::Tensor PictureTensor(const Rgb8Image& picture) {
  at::Tensor tensor = at::empty({picture.size.height, picture.size.width, 3}, at::kByte);
  std::memcpy(tensor.mutable_data_ptr<uint8_t>(), picture.pixels.data(), picture.pixels.size());
  return tensor;
}

int64_t Bytes(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0;
}

}  // namespace

int64_t TrainingSample::size_bytes() const {
  return Bytes(picture) + Bytes(truth.targets.masks) + Bytes(truth.targets.unknown);
}

ImageTargets WholeTargets(const ImageTargets& targets) {
  const LabelTargets& parts = targets.parts;
  const bool named = parts.listed.defined() && parts.listed.any().item<bool>();
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < targets.size(); ++i) {
    if (!named || parts.labels[i] == kNoLabel) rows.push_back(i);
  }
  const at::Tensor index = at::tensor(rows, at::kLong);
  ImageTargets wholes = {.masks = targets.masks.index_select(0, index),
                         .boxes = targets.boxes.index_select(0, index),
                         .has_mask = targets.has_mask.index_select(0, index),
                         .unknown = targets.unknown,
                         .objects = targets.objects,
                         .parts = targets.parts};
  wholes.objects.labels.clear();
  wholes.parts.labels.clear();
  for (const int64_t row : rows) {
    wholes.objects.labels.push_back(targets.objects.labels[row]);
    wholes.parts.labels.push_back(targets.parts.labels[row]);
  }
  return wholes;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenTrainingSource(const std::string& source) {
  absl::string_view keys = source;
  if (absl::ConsumePrefix(&keys, kScenes)) return OpenSceneSource(keys);
  SEMSAM_ASSIGN_OR_RETURN(const DatasetSpec spec, ParseDatasetSpec(source));
  return OpenDataset(spec);
}

absl::StatusOr<std::unique_ptr<TrainingData>> TrainingData::Create(const Recipe& recipe) {
  std::vector<std::shared_ptr<const Dataset>> sources;
  std::vector<PlannedSource> planned;
  for (const SourceRecipe& source : recipe.data) {
    absl::StatusOr<std::unique_ptr<Dataset>> opened = OpenTrainingSource(source.source);
    if (!opened.ok()) return Annotate(opened.status(), source.source);
    std::shared_ptr<const Dataset> dataset = *std::move(opened);
    if (source.hold_out) {
      std::vector<size_t> train = SplitHeldOut(dataset->size()).train;
      dataset = Subset(dataset, std::move(train));
    }
    planned.push_back({.size = dataset->size(), .share = source.share});
    sources.push_back(std::move(dataset));
  }
  SEMSAM_ASSIGN_OR_RETURN(SamplePlan plan,
                          SamplePlan::Create(planned, recipe.epoch_pictures, recipe.seed));
  return std::unique_ptr<TrainingData>(
      new TrainingData(recipe, std::move(sources), std::move(plan)));
}

absl::StatusOr<LoadedSample> TrainingData::Augmented(SamplePlan::Pick pick, Random& random) const {
  const SourceRecipe& source = recipe_.data[pick.source];
  const Dataset& dataset = *sources_[pick.source];
  SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded, LoadWithPicture(dataset, pick.index));
  SEMSAM_ASSIGN_OR_RETURN(LoadedSample jittered, Jitter(loaded, source.jitter, random));
  if (!random.Chance(source.copy_paste)) return jittered;
  const size_t other = random.Below(dataset.size());
  SEMSAM_ASSIGN_OR_RETURN(loaded, LoadWithPicture(dataset, other));
  SEMSAM_ASSIGN_OR_RETURN(const LoadedSample pasted, Jitter(loaded, source.jitter, random));
  return CopyPaste(jittered, pasted, {}, random);
}

StepWords TrainingData::WordsOf(const Sample& sample, Random& random) const {
  std::set<std::string> objects, parts;
  for (const Annotation& annotation : sample.annotations) {
    if (!annotation.object_name.empty()) objects.insert(annotation.object_name);
    if (!annotation.part_name.empty()) parts.insert(annotation.part_name);
  }
  std::vector<std::string> object_names = sample.absent;
  std::vector<std::string> part_names;
  if (sample.vocabulary) {
    const Vocabulary& words = *sample.vocabulary;
    object_names.insert(object_names.end(), words.objects.begin(), words.objects.end());
    part_names = words.parts;
  }
  StepWords words;
  words.objects =
      ChooseWords(objects, object_names, static_cast<size_t>(recipe_.words.max_objects), random);
  words.parts =
      ChooseWords(parts, part_names, static_cast<size_t>(recipe_.words.max_parts), random);
  return words;
}

absl::Status TrainingData::Fill(SamplePlan::Pick pick, Random& random,
                                TrainingSample& sample) const {
  SEMSAM_ASSIGN_OR_RETURN(const LoadedSample loaded, Augmented(pick, random));
  sample.words = WordsOf(loaded.sample, random);
  PromptOptions prompts = recipe_.prompts;
  prompts.tokens = std::max(1, prompts.tokens);
  SEMSAM_ASSIGN_OR_RETURN(sample.truth, MakeTrainingPrompts(loaded.sample, loaded.sample.size,
                                                            sample.words, prompts, random));
  sample.queries = recipe_.queries.count > 0 && random.Chance(recipe_.queries.share);
  sample.losses_seed = random.Next();
  return CatchTorch([&] {
    sample.picture = PictureTensor(loaded.picture);
    if (!sample.queries || recipe_.queries.denoising_groups == 0) return absl::OkStatus();
    const ImageTargets wholes = WholeTargets(sample.truth.targets);
    if (wholes.size() > 0) {
      sample.denoising = MakeDenoisingBoxes(wholes, recipe_.queries.denoising_groups,
                                            recipe_.prompts.noise, random);
    }
    return absl::OkStatus();
  });
}

TrainingSample TrainingData::Load(int64_t position) const {
  const SamplePlan::Pick pick = plan_.At(position);
  const Dataset& dataset = *sources_[pick.source];
  TrainingSample sample;
  sample.name = absl::StrCat(dataset.info().name, "/", dataset.name(pick.index));
  Random random = Random::ForStream(recipe_.seed, static_cast<uint64_t>(position));
  const absl::Status status = Fill(pick, random, sample);
  if (!status.ok()) {
    sample = {.name = sample.name, .status = Annotate(status, sample.name)};
  }
  return sample;
}

}  // namespace semsam
