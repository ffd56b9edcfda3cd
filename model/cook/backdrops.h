// What stands behind sprites: painted grounds and crops of photographs.
#ifndef SEMSAM_MODEL_COOK_BACKDROPS_H_
#define SEMSAM_MODEL_COOK_BACKDROPS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/types.h"
#include "model/data/dataset.h"
#include "model/data/random.h"

namespace semsam {

struct Backdrop {
  Rgb8Image picture;
  // Whether there is nothing on it. Of photographs that is not known.
  bool empty = true;
  std::string licence;  // of a photograph
  std::string source;   // likewise
};

// A plain, striped, checked or spotted ground under uneven light, some with noise.
Backdrop PaintedBackdrop(ImageSize size, Random& random);

// Photographs, kept in memory at a short side of kShortSidePx. Thread-safe once
// filled.
class Photographs {
 public:
  static constexpr int kShortSidePx = 384;
  static constexpr size_t kMaxPhotographs = 400;  // about 250 MB

  // Reads pictures of `dataset`; of more than `limit` indices every n-th. Errors name
  // the file; RESOURCE_EXHAUSTED beyond kMaxPhotographs.
  absl::Status Add(const Dataset& dataset, absl::Span<const size_t> indices, size_t limit);

  size_t size() const { return photographs_.size(); }

  // A crop of at least half the height and width that fit, resized. size() > 0.
  Backdrop Draw(ImageSize size, Random& random) const;

 private:
  std::vector<Backdrop> photographs_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_BACKDROPS_H_
