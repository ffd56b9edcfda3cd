#include "model/image/encode_image.h"

#include <cstdint>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

absl::StatusOr<std::string> Encode(const Rgb8Image& image, const char* extension,
                                   const std::vector<int>& options) {
  if (image.size.area() <= 0 || image.pixels.size() != static_cast<size_t>(image.size.area()) * 3) {
    return absl::InternalError("the pixels do not fill the image");
  }
  // OpenCV throws on what it refuses; nothing of it may leave this layer.
  try {
    const cv::Mat rgb(image.size.height, image.size.width, CV_8UC3,
                      const_cast<uint8_t*>(image.pixels.data()));
    cv::Mat bgr;
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    std::vector<uint8_t> bytes;
    if (!cv::imencode(extension, bgr, bytes, options)) {
      return absl::InternalError("the image cannot be encoded");
    }
    return std::string(bytes.begin(), bytes.end());
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the image cannot be encoded: ", error.what()));
  }
}

}  // namespace

absl::StatusOr<std::string> EncodePng(const Rgb8Image& image) {
  return Encode(image, ".png", {cv::IMWRITE_PNG_COMPRESSION, 6});
}

absl::StatusOr<std::string> EncodeJpeg(const Rgb8Image& image, int quality) {
  return Encode(image, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

}  // namespace semsam
