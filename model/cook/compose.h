// Sprites put before a backdrop, with the masks of what remains to be seen of them.
#ifndef SEMSAM_MODEL_COOK_COMPOSE_H_
#define SEMSAM_MODEL_COOK_COMPOSE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/cook/backdrops.h"
#include "model/cook/sprite.h"
#include "model/data/sample.h"

namespace semsam {

struct PlacedSprite {
  std::shared_ptr<const Sprite> sprite;
  int x = 0;  // px of the backdrop, of the sprite's top left corner; may lie outside
  int y = 0;
  // Sprites of one number stand together: their union is an annotation without a name,
  // their parent. -1: of none.
  int row = -1;
};

struct ComposeOptions {
  int64_t min_area_px = 64;  // smaller visible masks are left out
  // A sprite of which less is to be seen is not annotated; its pixels are unknown.
  double min_visible_share = 0.25;
  // A visible mask without a name that is more like its parent than this is left out.
  double max_iou = 0.9;
};
absl::Status Validate(const ComposeOptions& options);

// Later sprites lie before earlier ones. What no sprite covers is background where the
// backdrop is empty, else unknown. The sample has no name, vocabulary, licence or
// source yet. Errors: INVALID_ARGUMENT for options. Thread-safe.
absl::StatusOr<LoadedSample> Compose(Backdrop backdrop, const std::vector<PlacedSprite>& sprites,
                                     const ComposeOptions& options = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_COMPOSE_H_
