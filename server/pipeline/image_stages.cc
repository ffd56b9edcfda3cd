#include "server/pipeline/image_stages.h"

#include <span>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/decode_image.h"
#include "model/image/image_header.h"
#include "model/image/mask_cleanup.h"
#include "model/image/mask_codec.h"
#include "model/image/mask_logits.h"
#include "model/image/mask_tail.h"
#include "model/image/resize.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

absl::Status TooLarge(const char* message) {
  return InvalidField("image", message, reason::kImageTooLarge);
}

class RealImageStages final : public ImageStages {
 public:
  RealImageStages(ModelConfig config, const ImageLimits& limits)
      : config_(std::move(config)), limits_(limits) {
    decode_limits_.max_encoded_bytes = limits.max_bytes;
    decode_limits_.max_pixels = limits.max_pixels;
  }

  absl::StatusOr<ImageGeometry> Probe(std::string_view bytes) const override {
    if (static_cast<int64_t>(bytes.size()) > limits_.max_bytes) {
      return TooLarge("has more bytes than the limit");
    }
    SEMSAM_ASSIGN_OR_RETURN(
        const ImageHeader header,
        ReadImageHeader({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
    const ImageSize original = header.oriented_size();
    if (original.area() > limits_.max_pixels) return TooLarge("has more pixels than the limit");
    SEMSAM_ASSIGN_OR_RETURN(const ImageSize network,
                            CheckedNetworkSize(original, config_.short_edge_px,
                                               int64_t{limits_.max_elongation} *
                                                   config_.short_edge_px * config_.short_edge_px));
    return ImageGeometry{
        .original = original, .network = network, .padded = PaddedSize(config_, network)};
  }

  absl::StatusOr<Rgb8Image> Decode(std::string_view bytes) const override {
    return DecodeImage(bytes, decode_limits_);
  }

  Rgb8Image Resize(const Rgb8Image& original, ImageSize network) const override {
    return ResizeBicubic(original, network);
  }

  absl::Status CheckGeometry(const ImageGeometry& geometry, ImageSize grid) const override {
    return ValidateGeometry(geometry, grid);
  }

  float Stability(LogitsView logits, const ImageGeometry& geometry) const override {
    return StabilityScore(logits, geometry);
  }

  RunLengths Threshold(LogitsView logits, const ImageGeometry& geometry,
                       MaskResolution resolution) const override {
    return LogitsToRunLengths(logits, geometry, resolution);
  }

  PackedLogits Pack(LogitsView logits, const ImageGeometry& geometry,
                    MaskResolution resolution) const override {
    return PackLogits(logits, geometry, resolution);
  }

  absl::StatusOr<RunLengths> Clean(const RunLengths& runs, int64_t min_area_px) const override {
    BinaryMask mask = DecodeRunLengths(runs);
    SEMSAM_ASSIGN_OR_RETURN(const bool filled, FillHoles(mask, min_area_px));
    SEMSAM_ASSIGN_OR_RETURN(const bool removed, RemoveIslands(mask, min_area_px));
    return filled || removed ? EncodeRunLengths(mask) : runs;
  }

  absl::StatusOr<MaskData> Encode(const RunLengths& runs, MaskEncoding encoding) const override {
    MaskData data{.encoding = encoding};
    switch (encoding) {
      case MaskEncoding::kCocoRle:
        data.bytes = EncodeCocoString(runs);
        break;
      case MaskEncoding::kPng: {
        SEMSAM_ASSIGN_OR_RETURN(data.bytes, EncodeMaskPng(DecodeRunLengths(runs)));
        break;
      }
      case MaskEncoding::kPackedBits: {
        const std::vector<uint8_t> bits = PackBits(DecodeRunLengths(runs));
        data.bytes.assign(bits.begin(), bits.end());
        break;
      }
      case MaskEncoding::kPolygons: {
        SEMSAM_ASSIGN_OR_RETURN(data.polygons, MaskPolygons(DecodeRunLengths(runs)));
        break;
      }
      case MaskEncoding::kLogits:
        return absl::InternalError("run lengths hold no logits");
    }
    return data;
  }

 private:
  const ModelConfig config_;
  const ImageLimits limits_;
  DecodeLimits decode_limits_;
};

}  // namespace

std::unique_ptr<ImageStages> CreateImageStages(const ModelConfig& config,
                                               const ImageLimits& limits) {
  return std::make_unique<RealImageStages>(config, limits);
}

}  // namespace semsam
