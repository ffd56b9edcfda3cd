// Cooks what the readers of model/data cannot read directly into packs: folders of
// samples, each with its licence and source, a pack to train on and one beside it that
// is never trained on.
//
//   icons, icons-unseen-names, icons-unseen-style
//                            drawn icons in three styles; names held out in all
//                            styles; names trained on, in a style in which they are not
//   clipart, clipart-held-out
//   cutouts, cutouts-held-out
//   faces, faces-held-out
//   pets, pets-held-out      photographs with heads and bodies (photo_cook.h)
//   people, people-held-out  photographs with groups of clothes
#ifndef SEMSAM_MODEL_COOK_COOK_H_
#define SEMSAM_MODEL_COOK_COOK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/cook/larder.h"
#include "model/cook/pack.h"

namespace semsam {

struct CookOptions {
  LarderOptions sources;
  std::string out;  // folder of the packs
  uint64_t seed = 1;
  double share = 1;                // of the usual number of scenes, 0.001 to 100; photographs all
  size_t max_broken = 40;          // sprites of a pack
  std::vector<std::string> packs;  // empty: all
  PackOptions writing;
};
absl::Status Validate(const CookOptions& options);

// All packs, in the order in which they are cooked.
std::vector<std::string> PackNames();

struct CookedPack {
  std::string name;
  PackCounts counts;
  size_t sprites = 0;                         // to choose from
  std::map<std::string, std::string> broken;  // title -> reason
  size_t unsuitable = 0;                      // empty, or of too many shapes
  absl::Duration taken;
};

// Cooks one after the other; `done` hears of each. Afterwards writes OUT/words.txt: the
// object and part names of all packs that lie in OUT, sorted, one a line. A pack that
// is there already is an error before anything is cooked. The same seed gives the same
// packs with the same versions of the drawing libraries.
// Errors name the file. Packs that were finished before an error stay.
absl::Status Cook(const CookOptions& options, const Clock& clock,
                  const std::function<void(const CookedPack&)>& done);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_COOK_H_
