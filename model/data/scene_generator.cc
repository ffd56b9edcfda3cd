#include "model/data/scene_generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/augment.h"
#include "model/data/label_runs.h"
#include "model/data/scene_paint.h"
#include "model/data/scene_templates.h"
#include "model/data/vocabulary_builder.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

// One node of the scene's tree. Node i paints with the label i + 1.
struct Node {
  std::string object_name;
  std::string part_name;
  int parent = -1;
  bool stuff = false;
};

struct Scene {
  ScenePainter painter;
  std::vector<Node> nodes;

  uint32_t Add(Node node) {
    nodes.push_back(std::move(node));
    return static_cast<uint32_t>(nodes.size());
  }
};

std::shared_ptr<const Vocabulary> SceneWords() {
  VocabularyBuilder words("scenes");
  words.AddObject("sky");
  words.AddObject("ground");
  for (const ObjectTemplate& object : ObjectTemplates()) {
    words.AddObject(std::string(object.name));
    words.AddObject(std::string(object.group_name));
    for (const ShapeSpec& shape : object.shapes) words.AddPart(std::string(shape.name));
  }
  return words.Build(/*closed_world=*/true);
}

void AddBackground(const SceneOptions& options, Scene& scene, Random& random) {
  const double height = options.size.height, width = options.size.width;
  const double horizon = height * random.Uniform(0.3, 0.7);
  for (const bool sky : {true, false}) {
    const uint32_t label = scene.Add({.object_name = sky ? "sky" : "ground", .stuff = true});
    scene.painter.Paint({.kind = ShapeKind::kBox,
                         .x0 = 0,
                         .y0 = sky ? 0 : horizon,
                         .x1 = width,
                         .y1 = sky ? horizon : height},
                        label, RandomSurface(options.texture_chance, random));
  }
}

// A number near `value`: what makes two houses differ.
double Jittered(double value, double amount, Random& random) {
  return value + random.Uniform(-amount, amount);
}

// Paints `object` with its foot at (x, foot); parts of one name look alike.
void AddObject(const ObjectTemplate& object, int group, double x, double foot, double height,
               const SceneOptions& options, Scene& scene, Random& random) {
  const double width = height * object.aspect;
  const bool mirror = random.Chance(0.5);
  const int object_node =
      static_cast<int>(scene.Add({.object_name = std::string(object.name), .parent = group})) - 1;
  std::map<std::string_view, Surface> surfaces;
  std::vector<int> node_of;
  for (const ShapeSpec& spec : object.shapes) {
    const int parent = spec.parent < 0 ? object_node : node_of[spec.parent];
    const uint32_t label = scene.Add({.object_name = std::string(object.name),
                                      .part_name = std::string(spec.name),
                                      .parent = parent});
    node_of.push_back(static_cast<int>(label) - 1);
    if (!surfaces.contains(spec.name)) {
      surfaces[spec.name] = RandomSurface(options.texture_chance, random);
    }
    const double dx = Jittered(0, 0.01, random), dy = Jittered(0, 0.01, random);
    const double left = mirror ? 1 - spec.x1 : spec.x0, right = mirror ? 1 - spec.x0 : spec.x1;
    scene.painter.Paint({.kind = spec.kind,
                         .x0 = x + width * (left + dx),
                         .y0 = foot + height * (spec.y0 + dy - 1),
                         .x1 = x + width * (right + dx),
                         .y1 = foot + height * (spec.y1 + dy - 1)},
                        label, surfaces[spec.name]);
  }
}

// One object or a row of them, further down the nearer and larger.
void AddCluster(double depth, const SceneOptions& options, Scene& scene, Random& random) {
  const auto templates = ObjectTemplates();
  const ObjectTemplate& object = templates[random.Below(templates.size())];
  const double height = options.size.height * (0.18 + 0.5 * depth) * random.Uniform(0.7, 1.2);
  const double foot = options.size.height * (0.5 + 0.5 * depth);
  const int count =
      random.Chance(0.5) ? 1 : 1 + static_cast<int>(random.Below(std::max(1, options.max_group)));
  int group = -1;
  if (count > 1)
    group = static_cast<int>(scene.Add({.object_name = std::string(object.group_name)})) - 1;
  double x = options.size.width * random.Uniform(-0.1, 0.8);
  for (int i = 0; i < count; ++i) {
    const double own = height * random.Uniform(0.85, 1.15);
    AddObject(object, group, x, Jittered(foot, 0.02 * height, random), own, options, scene, random);
    x += own * object.aspect * random.Uniform(0.8, 1.15);
  }
}

// Visible masks of all nodes: their own pixels and those of what belongs to them.
absl::StatusOr<Sample> Annotations(const Scene& scene, const SceneOptions& options) {
  Sample sample = {.size = options.size};
  SEMSAM_ASSIGN_OR_RETURN(auto own, RunsOfValues(scene.painter.labels()));
  std::vector<std::optional<RunLengths>> masks(scene.nodes.size());
  // Children come after their parents.
  for (size_t i = scene.nodes.size(); i-- > 0;) {
    if (const auto found = own.find(static_cast<uint32_t>(i) + 1); found != own.end()) {
      masks[i] = masks[i].has_value() ? UnionOf(*masks[i], found->second) : found->second;
    }
    const int parent = scene.nodes[i].parent;
    if (parent < 0 || !masks[i].has_value()) continue;
    masks[parent] = masks[parent].has_value() ? UnionOf(*masks[parent], *masks[i]) : masks[i];
  }
  std::vector<bool> keep;
  for (size_t i = 0; i < scene.nodes.size(); ++i) {
    const Node& node = scene.nodes[i];
    Annotation annotation = {.id = static_cast<int64_t>(i) + 1,
                             .mask = masks[i],
                             .object_name = node.object_name,
                             .part_name = node.part_name,
                             .parent = node.parent,
                             .stuff = node.stuff};
    if (masks[i].has_value()) annotation.box = TightBox(*masks[i]);
    keep.push_back(masks[i].has_value() && MaskArea(*masks[i]) >= options.min_area_px);
    sample.annotations.push_back(std::move(annotation));
  }
  KeepAnnotations(sample, keep);
  // Slivers that were left out are of something.
  AddUnknown(sample, Unannotated(sample));
  return sample;
}

class SceneDataset final : public Dataset {
 public:
  SceneDataset(SceneOptions options, uint64_t seed, size_t count)
      : options_(options), seed_(seed), count_(count) {
    info_ = {.name = "scenes", .source = "generated", .vocabulary = SceneWords()};
  }

  const DatasetInfo& info() const override { return info_; }
  size_t size() const override { return count_; }
  std::string name(size_t index) const override {
    const std::string digits = std::to_string(index);
    return absl::StrCat("scene-", std::string(9 - std::min<size_t>(9, digits.size()), '0'), digits);
  }
  absl::StatusOr<Sample> Load(size_t index) const override {
    Random random = Random::ForStream(seed_, index);
    SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded, GenerateScene(options_, random));
    loaded.sample.name = name(index);
    loaded.sample.vocabulary = info_.vocabulary;
    loaded.sample.pixels = std::make_shared<const Rgb8Image>(std::move(loaded.picture));
    return std::move(loaded.sample);
  }

 private:
  const SceneOptions options_;
  const uint64_t seed_;
  const size_t count_;
  DatasetInfo info_;
};

}  // namespace

absl::Status Validate(const SceneOptions& options) {
  for (const int side : {options.size.height, options.size.width}) {
    if (side < 32 || side > 4096) return InvalidField("size", "must be between 32 and 4096 a side");
  }
  if (options.max_clusters < 1 || options.max_clusters > 100) {
    return InvalidField("max_clusters", "must be between 1 and 100");
  }
  if (options.max_group < 1 || options.max_group > 20) {
    return InvalidField("max_group", "must be between 1 and 20");
  }
  for (const double chance :
       {options.outline_chance, options.texture_chance, options.blur_chance}) {
    if (!(chance >= 0) || !(chance <= 1)) {
      return InvalidField("outline_chance", "chances must be between 0 and 1");
    }
  }
  if (options.max_noise < 0 || options.max_noise > 127) {
    return InvalidField("max_noise", "must be between 0 and 127");
  }
  if (options.min_area_px < 1) return InvalidField("min_area_px", "must be positive");
  return absl::OkStatus();
}

absl::StatusOr<LoadedSample> GenerateScene(const SceneOptions& options, Random& random) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  Scene scene = {.painter = ScenePainter(options.size)};
  AddBackground(options, scene, random);
  const int clusters = 1 + static_cast<int>(random.Below(options.max_clusters));
  std::vector<double> depths;
  for (int i = 0; i < clusters; ++i) depths.push_back(random.Unit());
  std::sort(depths.begin(), depths.end());  // the far ones first
  for (const double depth : depths) AddCluster(depth, options, scene, random);
  if (random.Chance(options.outline_chance)) scene.painter.Outline();
  scene.painter.Shade(random);
  if (random.Chance(options.blur_chance)) {
    for (uint64_t i = random.Below(2) + 1; i > 0; --i) scene.painter.Blur();
  }
  scene.painter.AddNoise(static_cast<int>(random.Below(options.max_noise + 1)), random);
  LoadedSample loaded;
  SEMSAM_ASSIGN_OR_RETURN(loaded.sample, Annotations(scene, options));
  loaded.sample.name = "scene";
  loaded.sample.vocabulary = SceneWords();
  loaded.sample.source = "generated";
  loaded.picture = std::move(scene.painter).TakePicture();
  return loaded;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenScenes(const SceneOptions& options, uint64_t seed,
                                                    size_t count) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  return std::make_unique<SceneDataset>(options, seed, count);
}

}  // namespace semsam
