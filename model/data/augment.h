// Augmentation of a picture together with its masks: large-scale jittering, flips,
// copy-paste (paper, section 4; Ghiasi et al. 2021).
//
// Guarantees
//   - One seed gives the same bytes on every machine: integer and exactly rounded
//     arithmetic only.
//   - Picture, masks, boxes and unknown regions move together. Of a mask nothing is
//     left: the annotation is dropped, and its parts belong to what it was a part of.
//   - The result passes CheckSample. Stated areas and boxes are cleared: they are
//     of the source.
// Thread-safe: free functions without state but the generator they are given.
#ifndef SEMSAM_MODEL_DATA_AUGMENT_H_
#define SEMSAM_MODEL_DATA_AUGMENT_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/data/random.h"
#include "model/data/sample.h"

namespace semsam {

struct JitterOptions {
  int size_px = 1024;  // of the square that comes out
  // The picture is resized to fit a square of scale * size_px, scale uniform in
  // [min_scale, max_scale]. SA-1B is trained with 0.99 to 1.01.
  double min_scale = 0.1;
  double max_scale = 2.0;
  double flip = 0.5;        // probability of a mirror image
  int64_t min_area_px = 1;  // smaller masks are dropped after the crop
  // Of what the picture does not fill; the mean colour, 0 after normalisation.
  std::array<uint8_t, 3> padding = {124, 116, 104};
};
absl::Status Validate(const JitterOptions& options);

// Resizes (picture: bicubic, antialiased, as the model's own preprocessing; masks:
// nearest pixel centre), crops at a random place what is larger than the square,
// pads right and below what is smaller. Padding becomes unknown.
// Errors: INVALID_ARGUMENT for options or a picture that is not the sample's size.
absl::StatusOr<LoadedSample> Jitter(const LoadedSample& source, const JitterOptions& options,
                                    Random& random);

// The mirror image.
LoadedSample FlipHorizontally(const LoadedSample& source);

struct CopyPasteOptions {
  double probability = 0.5;  // of each object of the source to be pasted
  int max_objects = 20;
  // A mask of the target of which a smaller share is left is dropped.
  double min_visible_share = 0.05;
};
absl::Status Validate(const CopyPasteOptions& options);

// Pastes objects of `source`, with their parts, onto `target` at the same place:
// both are of one size, as they come out of Jitter. Objects are masks that are no
// part of another, no crowd and no stuff. What is pasted hides what is below it:
// masks lose its pixels, boxes that it covers wholly go, and what was unknown there
// is known. Ids of pasted annotations follow the largest of the target.
// The vocabulary of the result is the target's where both have the same; else their
// union, an open world: neither set speaks for the other's names.
// Errors: INVALID_ARGUMENT for options or different sizes.
absl::StatusOr<LoadedSample> CopyPaste(const LoadedSample& target, const LoadedSample& source,
                                       const CopyPasteOptions& options, Random& random);

// Drops annotations of `sample` for which keep[i] is false; their parts move up to
// the nearest ancestor that stays.
void KeepAnnotations(Sample& sample, const std::vector<bool>& keep);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_AUGMENT_H_
