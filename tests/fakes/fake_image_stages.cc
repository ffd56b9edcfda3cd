#include "tests/fakes/fake_image_stages.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/mask_logits.h"
#include "model/image/mask_tail.h"
#include "model/image/run_lengths.h"

namespace semsam {
std::string FakeImageBytes(int width, int height, std::string_view seed) {
  return absl::StrCat(width, "x", height, " ", std::string(seed));
}

FakeImageStages::FakeImageStages(ModelConfig config, std::function<void()> on_threshold,
                                 size_t mask_bytes)
    : config_(std::move(config)), on_threshold_(std::move(on_threshold)), mask_bytes_(mask_bytes) {}

absl::StatusOr<ImageGeometry> FakeImageStages::Probe(std::string_view bytes) const {
  const std::vector<std::string> words = absl::StrSplit(std::string(bytes), absl::ByAnyChar("x "));
  ImageSize size;
  if (words.size() < 2 || !absl::SimpleAtoi(words[0], &size.width) ||
      !absl::SimpleAtoi(words[1], &size.height) || size.width <= 0 || size.height <= 0) {
    return InvalidField("image", "is not an image", reason::kImageUndecodable);
  }
  const double scale =
      static_cast<double>(config_.short_edge_px) / std::min(size.width, size.height);
  const ImageSize network{.height = static_cast<int>(size.height * scale),
                          .width = static_cast<int>(size.width * scale)};
  return ImageGeometry{
      .original = size, .network = network, .padded = PaddedSize(config_, network)};
}

absl::StatusOr<Rgb8Image> FakeImageStages::Decode(std::string_view bytes) const {
  ++decoded_images_;
  SEMSAM_ASSIGN_OR_RETURN(const ImageGeometry geometry, Probe(bytes));
  return Rgb8Image{.size = geometry.original,
                   .pixels = std::vector<uint8_t>(geometry.original.area() * 3)};
}

Rgb8Image FakeImageStages::Resize(const Rgb8Image& /*original*/, ImageSize network) const {
  return Rgb8Image{.size = network, .pixels = std::vector<uint8_t>(network.area() * 3)};
}

absl::Status FakeImageStages::CheckGeometry(const ImageGeometry& geometry, ImageSize grid) const {
  if (grid.height * 4 != geometry.padded.height || grid.width * 4 != geometry.padded.width) {
    return absl::InternalError("logits of the wrong size");
  }
  return absl::OkStatus();
}

float FakeImageStages::Stability(LogitsView logits, const ImageGeometry& /*geometry*/) const {
  int64_t above = 0;
  int64_t below = 0;
  for (int64_t i = 0; i < logits.size.area(); ++i) {
    if (logits.data[i] > 1) ++above;
    if (logits.data[i] > -1) ++below;
  }
  return below == 0 ? 0 : static_cast<float>(above) / static_cast<float>(below);
}

RunLengths FakeImageStages::Threshold(LogitsView logits, const ImageGeometry& geometry,
                                      MaskResolution resolution) const {
  ++thresholded_masks_;
  if (on_threshold_) on_threshold_();
  const ImageSize size = MaskSize(geometry, resolution);
  BinaryMask mask{.size = size, .pixels = std::vector<uint8_t>(size.area())};
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      const int grid_y = static_cast<int>((y + 0.5) * geometry.network.height / size.height / 4);
      const int grid_x = static_cast<int>((x + 0.5) * geometry.network.width / size.width / 4);
      mask.pixels[static_cast<size_t>(y) * size.width + x] = logits.at(grid_y, grid_x) > 0;
    }
  }
  RunLengths runs = EncodeRunLengths(mask);
  runs.counts.resize(std::max<size_t>(runs.counts.size(), padded_numbers_));
  return runs;
}

PackedLogits FakeImageStages::Pack(LogitsView logits, const ImageGeometry& geometry,
                                   MaskResolution resolution) const {
  return PackLogits(logits, geometry, resolution);
}

absl::StatusOr<RunLengths> FakeImageStages::Clean(const RunLengths& runs,
                                                  int64_t /*min_area_px*/) const {
  return runs;
}

absl::StatusOr<MaskData> FakeImageStages::Encode(const RunLengths& runs,
                                                 MaskEncoding encoding) const {
  ++encoded_masks_;
  MaskData data{.encoding = encoding, .bytes = absl::StrCat("area=", MaskArea(runs))};
  if (data.bytes.size() < mask_bytes_) data.bytes.resize(mask_bytes_, ' ');
  return data;
}

}  // namespace semsam
