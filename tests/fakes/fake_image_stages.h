// Image stages without pictures: bytes that read "WIDTHxHEIGHT anything" are an
// image of that size. Masks are upsampled by nearest neighbour and "encoded" as
// text.
#ifndef SEMSAM_TESTS_FAKES_FAKE_IMAGE_STAGES_H_
#define SEMSAM_TESTS_FAKES_FAKE_IMAGE_STAGES_H_

#include <atomic>
#include <functional>
#include <string>
#include <string_view>

#include "server/pipeline/image_stages.h"

namespace semsam {

// Bytes of an image that FakeImageStages reads; `seed` makes them differ.
std::string FakeImageBytes(int width, int height, std::string_view seed = "");

// Thread-safe.
class FakeImageStages final : public ImageStages {
 public:
  // `on_threshold` (may be null) runs at the start of every Threshold call.
  // `mask_bytes` pads every encoded mask to at least this size.
  explicit FakeImageStages(ModelConfig config, std::function<void()> on_threshold = nullptr,
                           size_t mask_bytes = 0);

  absl::StatusOr<ImageGeometry> Probe(std::string_view bytes) const override;
  absl::StatusOr<Rgb8Image> Decode(std::string_view bytes) const override;
  Rgb8Image Resize(const Rgb8Image& original, ImageSize network) const override;
  absl::Status CheckGeometry(const ImageGeometry& geometry, ImageSize grid) const override;
  float Stability(LogitsView logits, const ImageGeometry& geometry) const override;
  RunLengths Threshold(LogitsView logits, const ImageGeometry& geometry,
                       MaskResolution resolution) const override;
  PackedLogits Pack(LogitsView logits, const ImageGeometry& geometry,
                    MaskResolution resolution) const override;
  absl::StatusOr<RunLengths> Clean(const RunLengths& runs, int64_t min_area_px) const override;
  absl::StatusOr<MaskData> Encode(const RunLengths& runs, MaskEncoding encoding) const override;

  // Run lengths of at least so many numbers from now on; the rest is of length 0.
  void PadRunLengths(size_t numbers) { padded_numbers_ = numbers; }

  int decoded_images() const { return decoded_images_; }
  int thresholded_masks() const { return thresholded_masks_; }
  int encoded_masks() const { return encoded_masks_; }

 private:
  const ModelConfig config_;
  const std::function<void()> on_threshold_;
  const size_t mask_bytes_;
  std::atomic<size_t> padded_numbers_{0};
  mutable std::atomic<int> decoded_images_{0};
  mutable std::atomic<int> thresholded_masks_{0};
  mutable std::atomic<int> encoded_masks_{0};
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_FAKE_IMAGE_STAGES_H_
