// Procedural scenes with everything known: groups, objects, parts and parts of
// parts, each with its name and its visible mask.
//
//   scene -> group ("row of houses") -> object ("house") -> part ("window")
//         -> part of a part ("pane")
//
// Textures, shading and noise make edges that bound no part; outlines, where a scene
// has them, run along those that do. One seed gives the same bytes on every machine.
#ifndef SEMSAM_MODEL_DATA_SCENE_GENERATOR_H_
#define SEMSAM_MODEL_DATA_SCENE_GENERATOR_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/data/dataset.h"
#include "model/data/random.h"
#include "model/data/sample.h"

namespace semsam {

struct SceneOptions {
  ImageSize size = {.height = 320, .width = 320};  // px, 32 to 4096 a side
  int max_clusters = 5;                            // groups and single objects, at least one
  int max_group = 4;                               // objects of a group
  double outline_chance = 0.4;                     // of a scene
  double texture_chance = 0.5;                     // of a surface
  double blur_chance = 0.5;                        // of a scene: a 3 x 3 box filter, once or twice
  int max_noise = 12;                              // of 255, drawn for a scene
  int64_t min_area_px = 6;                         // smaller visible masks are left out
};
absl::Status Validate(const SceneOptions& options);

// Errors: INVALID_ARGUMENT for options. Thread-safe: no state but the generator.
absl::StatusOr<LoadedSample> GenerateScene(const SceneOptions& options, Random& random);

// `count` scenes as a data set; scene i depends on seed and i alone.
absl::StatusOr<std::unique_ptr<Dataset>> OpenScenes(const SceneOptions& options, uint64_t seed,
                                                    size_t count);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_SCENE_GENERATOR_H_
