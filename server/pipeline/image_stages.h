// The pure steps between bytes and network, and between logits and answer.
//
// An interface, so that the engine's tests run without decoding pictures;
// CreateImageStages gives the real ones, on model/image.
#ifndef SEMSAM_SERVER_PIPELINE_IMAGE_STAGES_H_
#define SEMSAM_SERVER_PIPELINE_IMAGE_STAGES_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/base/types.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

struct ImageLimits {
  int64_t max_bytes = int64_t{64} << 20;  // encoded
  int64_t max_pixels = 64 * 1000 * 1000;  // decoded, checked before allocating
  // Long edge over short edge: bounds the embedding and the logits, which grow with
  // the network frame.
  int max_elongation = 8;
};

// Stateless and thread-safe. Errors about an image are INVALID_ARGUMENT with field
// "image".
class ImageStages {
 public:
  virtual ~ImageStages() = default;

  // The three sizes of an image, from its header alone. IMAGE_UNDECODABLE if it is
  // no image, IMAGE_TOO_LARGE beyond the limits in any of the sizes.
  virtual absl::StatusOr<ImageGeometry> Probe(std::string_view bytes) const = 0;

  // Decodes: RGB, EXIF orientation applied, original frame.
  virtual absl::StatusOr<Rgb8Image> Decode(std::string_view bytes) const = 0;

  // Resizes from the original to the network frame.
  virtual Rgb8Image Resize(const Rgb8Image& original, ImageSize network) const = 0;

  // OK if those below that take logits accept logits of size `grid`.
  virtual absl::Status CheckGeometry(const ImageGeometry& geometry, ImageSize grid) const = 0;

  // Area at logit > 1 over area at logit > -1; 0 for an empty mask.
  virtual float Stability(LogitsView logits, const ImageGeometry& geometry) const = 0;

  // The mask (logit > 0) at the asked resolution, never held at full size.
  virtual RunLengths Threshold(LogitsView logits, const ImageGeometry& geometry,
                               MaskResolution resolution) const = 0;

  // Fills holes and drops islands below `min_area_px` pixels; one mask at full size.
  virtual absl::StatusOr<RunLengths> Clean(const RunLengths& runs, int64_t min_area_px) const = 0;

  // The logits themselves, as they travel.
  virtual PackedLogits Pack(LogitsView logits, const ImageGeometry& geometry,
                            MaskResolution resolution) const = 0;

  // One mask at full size, but for kCocoRle. Not for kLogits: INTERNAL.
  virtual absl::StatusOr<MaskData> Encode(const RunLengths& runs, MaskEncoding encoding) const = 0;
};

std::unique_ptr<ImageStages> CreateImageStages(const ModelConfig& config,
                                               const ImageLimits& limits);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_IMAGE_STAGES_H_
