// What scenes are cooked from: the sprites and photographs of the collection, split
// into those to train on and those that are held out.
#ifndef SEMSAM_MODEL_COOK_LARDER_H_
#define SEMSAM_MODEL_COOK_LARDER_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/cook/backdrops.h"
#include "model/cook/name_plan.h"
#include "model/cook/scene_cook.h"
#include "model/cook/sprite_source.h"
#include "model/data/sample.h"

namespace semsam {

enum class SpriteTheme { kIcons, kClipart, kCutouts, kFaces };

enum class PackPart {
  kTrain,
  kHeldOut,      // names (faces: every tenth) that are not trained on
  kUnseenStyle,  // names that are, drawn in a style in which they are not
};

struct LarderOptions {
  std::string data;     // folder of the collection: icons, faces, cutouts, coco, ..
  std::string clipart;  // folder of SVG files; empty: no clip art
  std::string nouns;    // WordNet's index.noun; empty: clip art has no names
};

// Thread-safe once opened: const methods may run at the same time.
class Larder {
 public:
  // Reads the names of all sources and about 400 photographs. Errors name the file.
  static absl::StatusOr<std::unique_ptr<Larder>> Open(const LarderOptions& options);

  // Borrows this.
  SpriteShelf Shelf(SpriteTheme theme, PackPart part) const;

  // What the samples of a pack may be called, an open world: to train on, the names of
  // the shelf alone; to test, all names of the theme.
  std::shared_ptr<const Vocabulary> Words(std::string_view pack, SpriteTheme theme,
                                          PackPart part) const;

  // To put behind sprites; held-out ones behind all that is not trained on.
  const Photographs& photographs(PackPart part) const {
    return part == PackPart::kTrain ? photographs_ : held_out_photographs_;
  }

 private:
  Larder() = default;

  absl::Status OpenSources(const LarderOptions& options);
  absl::Status OpenClipartFolder(const LarderOptions& options);
  absl::Status OpenPhotographs(const LarderOptions& options);
  std::vector<const SpriteSource*> SourcesOf(SpriteTheme theme) const;
  PackPart PartOf(const SpriteSource& source, size_t index) const;

  std::unique_ptr<SpriteSource> noto_, flat_, shaded_, cutouts_, faces_;
  std::unique_ptr<SpriteSource> clipart_;  // may be null
  std::unique_ptr<NamePlan> plan_;
  std::set<std::string> unseen_style_;  // names
  Photographs photographs_, held_out_photographs_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_LARDER_H_
