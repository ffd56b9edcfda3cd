// Scenes of sprites: which, how large, where.
#ifndef SEMSAM_MODEL_COOK_SCENE_COOK_H_
#define SEMSAM_MODEL_COOK_SCENE_COOK_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/mutex.h"
#include "model/cook/backdrops.h"
#include "model/cook/sprite_source.h"
#include "model/data/random.h"
#include "model/data/sample.h"

namespace semsam {

// Sprites to choose from, by what they show: a name with many pictures is as likely as
// one with a single picture. What has no name counts for itself. Borrows the sources.
// Thread-safe once filled.
class SpriteShelf {
 public:
  struct Ref {
    const SpriteSource* source = nullptr;
    size_t index = 0;

    const SpriteSource::Entry& entry() const { return source->entries()[index]; }
  };

  void Add(Ref ref);

  bool empty() const { return refs_.empty(); }
  size_t size() const { return count_; }  // pictures
  std::vector<std::string> names() const;
  const std::vector<const SpriteSource*>& sources() const { return sources_; }

  Ref Draw(Random& random) const;  // of a shelf that is not empty

 private:
  std::map<std::string, size_t> place_of_;  // name -> index in refs_
  std::vector<std::vector<Ref>> refs_;
  std::vector<const SpriteSource*> sources_;
  size_t count_ = 0;
};

// Sprites that could not be used. A few broken ones are left out and named; more than
// the limit are an error. Thread-safe.
class LeftOut {
 public:
  explicit LeftOut(size_t max_broken) : max_broken_(max_broken) {}

  // What SpriteSource::Load said of `title`. Errors: RESOURCE_EXHAUSTED beyond the
  // limit, which names the last.
  absl::Status Add(const std::string& title, const absl::Status& status);

  // title -> reason; whatever the order of the calls.
  std::map<std::string, std::string> broken() const;
  size_t unsuitable() const;

 private:
  const size_t max_broken_;
  mutable Mutex mutex_;
  std::map<std::string, std::string> broken_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> unsuitable_ ABSL_GUARDED_BY(mutex_);
};

struct SceneCookOptions {
  int short_side_px = 320;
  double alone_chance = 0.5;  // of a single, large sprite
  int min_sprites = 2;        // else
  int max_sprites = 5;
  double photograph_chance = 0.6;  // of a scene of several; a quarter of it of one alone
  double row_chance = 0.15;        // of a sprite to stand in a row of its like
};
absl::Status Validate(const SceneCookOptions& options);

// One scene, without a name and a vocabulary; licence and source are those of all that
// is in it. The same generator gives the same scene on one machine. Errors: of
// LeftOut, and FAILED_PRECONDITION where no sprite can be drawn. Thread-safe.
absl::StatusOr<LoadedSample> CookScene(const SpriteShelf& shelf, const Photographs& photographs,
                                       const SceneCookOptions& options, LeftOut& left_out,
                                       Random& random);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_SCENE_COOK_H_
