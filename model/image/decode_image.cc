#include "model/image/decode_image.h"

#include <exception>
#include <new>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/exif_orientation.h"
#include "model/image/image_header.h"
#include "model/image/jpeg_codec.h"
#include "model/image/png_codec.h"
#include "model/image/tiff_header.h"
#include "model/image/undecodable.h"

namespace semsam {
namespace {

absl::Status CheckSize(const ImageHeader& header, const DecodeLimits& limits) {
  const ImageSize size = header.size;
  if (size.width > limits.max_side_px || size.height > limits.max_side_px ||
      size.area() > limits.max_pixels) {
    return ImageTooLarge(absl::StrCat("the image has ", size.width, " x ", size.height,
                                      " pixels; at most ", limits.max_pixels, " and ",
                                      limits.max_side_px, " a side are accepted"));
  }
  return absl::OkStatus();
}

// 16-bit samples as PIL reduces them: the high byte of colours, clipped grey.
cv::Mat To8Bit(const cv::Mat& deep) {
  cv::Mat shallow;
  if (deep.channels() == 1) {
    deep.convertTo(shallow, CV_8U);  // saturates
    return shallow;
  }
  shallow.create(deep.size(), CV_8UC3);
  for (int y = 0; y < deep.rows; ++y) {
    const uint16_t* from = deep.ptr<uint16_t>(y);
    uint8_t* to = shallow.ptr<uint8_t>(y);
    for (int i = 0; i < deep.cols * 3; ++i) to[i] = static_cast<uint8_t>(from[i] >> 8);
  }
  return shallow;
}

// WebP, BMP and TIFF. OpenCV is asked for 16-bit samples only where the file has
// them; its own reduction to 8 bits rounds differently.
absl::StatusOr<Rgb8Image> DecodeByOpenCv(std::span<const uint8_t> bytes,
                                         const ImageHeader& header) {
  const bool deep = header.bits_per_sample == 16;
  const int kind = deep && header.channels == 1 ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR;
  const int flags = kind | (deep ? cv::IMREAD_ANYDEPTH : 0) | cv::IMREAD_IGNORE_ORIENTATION;
  // OpenCV reads from a matrix that owns nothing; it does not write to it.
  const cv::Mat source(1, static_cast<int>(bytes.size()), CV_8UC1,
                       const_cast<uint8_t*>(bytes.data()));
  cv::Mat decoded = cv::imdecode(source, flags);
  if (decoded.empty()) return Undecodable("the image cannot be decoded");
  if (decoded.depth() == CV_16U) decoded = To8Bit(decoded);
  if (decoded.cols != header.size.width || decoded.rows != header.size.height ||
      decoded.depth() != CV_8U || (decoded.channels() != 1 && decoded.channels() != 3)) {
    return Undecodable("the pixels do not fit the header");
  }
  Rgb8Image image;
  image.size = header.size;
  image.pixels.resize(static_cast<size_t>(header.size.area()) * 3);
  cv::Mat target(decoded.rows, decoded.cols, CV_8UC3, image.pixels.data());
  cv::cvtColor(decoded, target, decoded.channels() == 1 ? cv::COLOR_GRAY2RGB : cv::COLOR_BGR2RGB);
  return image;
}

absl::StatusOr<Rgb8Image> DecodeTiff(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  SEMSAM_ASSIGN_OR_RETURN(const TiffHeader header, ReadTiffHeader(bytes));
  if (header.block_pixels > limits.max_pixels) {
    return ImageTooLarge("TIFF: a tile has more pixels than are accepted for an image");
  }
  return DecodeByOpenCv(NeutralTiff(bytes, header), header.image);
}

absl::StatusOr<Rgb8Image> DecodeStored(std::span<const uint8_t> bytes, const ImageHeader& header,
                                       const DecodeLimits& limits) {
  switch (header.format) {
    case ImageFormat::kJpeg:
      return DecodeJpeg(bytes, header);
    case ImageFormat::kPng:
      return DecodePng(bytes, header);
    case ImageFormat::kTiff:
      return DecodeTiff(bytes, limits);
    case ImageFormat::kWebp:
    case ImageFormat::kBmp:
      return DecodeByOpenCv(bytes, header);
  }
  return Undecodable("unknown format");
}

absl::StatusOr<ImageHeader> CheckedHeader(std::span<const uint8_t> bytes,
                                          const DecodeLimits& limits) {
  SEMSAM_RETURN_IF_ERROR(Validate(limits));
  if (static_cast<int64_t>(bytes.size()) > limits.max_encoded_bytes) {
    return ImageTooLarge(absl::StrCat("the file has ", bytes.size(), " bytes; at most ",
                                      limits.max_encoded_bytes, " are accepted"));
  }
  SEMSAM_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(bytes));
  SEMSAM_RETURN_IF_ERROR(CheckSize(header, limits));
  if (bytes.size() < header.min_file_bytes) return Undecodable("the file is cut short");
  return header;
}

absl::StatusOr<Rgba8Image> RgbaByOpenCv(std::span<const uint8_t> bytes, const ImageHeader& header) {
  const cv::Mat source(1, static_cast<int>(bytes.size()), CV_8UC1,
                       const_cast<uint8_t*>(bytes.data()));
  const cv::Mat decoded = cv::imdecode(source, cv::IMREAD_UNCHANGED);
  if (decoded.empty()) return Undecodable("the image cannot be decoded");
  if (decoded.cols != header.size.width || decoded.rows != header.size.height ||
      decoded.depth() != CV_8U || decoded.channels() == 2) {
    return Undecodable("the pixels do not fit the header");
  }
  Rgba8Image image{.size = header.size};
  image.pixels.resize(static_cast<size_t>(header.size.area()) * 4);
  cv::Mat target(decoded.rows, decoded.cols, CV_8UC4, image.pixels.data());
  const int conversion = decoded.channels() == 1   ? cv::COLOR_GRAY2RGBA
                         : decoded.channels() == 3 ? cv::COLOR_BGR2RGBA
                                                   : cv::COLOR_BGRA2RGBA;
  cv::cvtColor(decoded, target, conversion);
  return image;
}

}  // namespace

absl::Status Validate(const DecodeLimits& limits) {
  // OpenCV counts the bytes of a file in an int.
  if (limits.max_encoded_bytes < 1 || limits.max_encoded_bytes > 0x7FFFFFFF) {
    return InvalidField("max_encoded_bytes", "must be between 1 and 2147483647");
  }
  if (limits.max_pixels < 1 || limits.max_pixels > int64_t{1} << 30) {
    return InvalidField("max_pixels", "must be between 1 and 2^30");
  }
  if (limits.max_side_px < 1 || limits.max_side_px > 1 << 20) {
    return InvalidField("max_side_px", "must be between 1 and 2^20");
  }
  return absl::OkStatus();
}

absl::StatusOr<Rgb8Image> DecodeImage(std::span<const uint8_t> bytes, const DecodeLimits& limits) {
  SEMSAM_ASSIGN_OR_RETURN(const ImageHeader header, CheckedHeader(bytes, limits));
  // OpenCV throws on what it refuses; nothing of it may leave this layer.
  try {
    SEMSAM_ASSIGN_OR_RETURN(Rgb8Image image, DecodeStored(bytes, header, limits));
    return ApplyOrientation(std::move(image), header.orientation);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory for the image");
  } catch (const std::exception& error) {
    return Undecodable(absl::StrCat("the image cannot be decoded: ", error.what()));
  }
}

absl::StatusOr<Rgb8Image> DecodeImage(std::string_view bytes, const DecodeLimits& limits) {
  return DecodeImage(
      std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()),
      limits);
}

absl::StatusOr<Rgba8Image> DecodeRgba(std::string_view bytes, const DecodeLimits& limits) {
  const std::span<const uint8_t> raw(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  SEMSAM_ASSIGN_OR_RETURN(const ImageHeader header, CheckedHeader(raw, limits));
  if (header.format != ImageFormat::kPng && header.format != ImageFormat::kWebp) {
    return Undecodable("neither PNG nor WebP");
  }
  if (header.bits_per_sample != 8) return Undecodable("not of 8 bits a sample");
  try {
    return RgbaByOpenCv(raw, header);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory for the image");
  } catch (const std::exception& error) {
    return Undecodable(absl::StrCat("the image cannot be decoded: ", error.what()));
  }
}

}  // namespace semsam
