#include "client/cli/canvas.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/panel_text.h"
#include "client/mask_codec.h"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"

namespace semsam::client {
namespace {

constexpr int kRingRadiusPx = 8;  // around a click
constexpr double kTint = 0.45;
constexpr int kTagPaddingPx = 4;
constexpr int kTagHeightPx = 18;
constexpr int kTagBarPx = 4;  // of the mask's colour, at a tag's left
constexpr int kTagTextBaselinePx = 13;
constexpr int kMaxTags = 500;  // on one image

const cv::Scalar kWhite(255, 255, 255);
const cv::Scalar kBlack(0, 0, 0);
const cv::Scalar kTagGround(24, 24, 24);

cv::Point InsideOf(const cv::Mat& image, float x, float y) {
  return {static_cast<int>(std::clamp<float>(x, 0, static_cast<float>(image.cols - 1))),
          static_cast<int>(std::clamp<float>(y, 0, static_cast<float>(image.rows - 1)))};
}

}  // namespace

cv::Scalar ToBgr(Rgb colour) { return {1.0 * colour.blue, 1.0 * colour.green, 1.0 * colour.red}; }

std::optional<cv::Mat> DecodeImage(std::string_view bytes, bool raw) {
  if (bytes.empty() || bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return std::nullopt;
  }
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8UC1,
                        const_cast<char*>(bytes.data()));
  cv::Mat image;
  try {
    const int flags = cv::IMREAD_COLOR | (raw ? cv::IMREAD_IGNORE_ORIENTATION : 0);
    image = cv::imdecode(encoded, flags);
  } catch (const cv::Exception&) {
    return std::nullopt;
  }
  if (image.empty()) return std::nullopt;
  return image;
}

cv::Mat ScaleImage(const cv::Mat& image, cv::Size size) {
  cv::Mat scaled;
  cv::resize(image, scaled, size, 0, 0,
             size.width < image.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
  return scaled;
}

absl::StatusOr<cv::Mat> ScaleMask(const Mask& mask, cv::Size size) {
  auto bitmap = DecodeMask(mask);
  if (!bitmap.ok()) return bitmap.status();
  if (bitmap->pixels.empty()) return absl::DataLossError("a mask has no pixels");
  cv::Mat pixels(bitmap->size.height, bitmap->size.width, CV_8UC1, bitmap->pixels.data());
  pixels *= 255;
  cv::Mat scaled;
  const bool smaller = size.width < pixels.cols;
  cv::resize(pixels, scaled, size, 0, 0, smaller ? cv::INTER_AREA : cv::INTER_NEAREST);
  cv::threshold(scaled, scaled, 127, 255, cv::THRESH_BINARY);
  return scaled;
}

absl::StatusOr<cv::Mat> ScaleMap(const PanopticMap& map, cv::Size size) {
  const std::optional<cv::Mat> picture = DecodeImage(map.png, /*raw=*/true);
  if (!picture.has_value()) return absl::DataLossError("the panoptic map is no picture");
  if (picture->rows != map.size.height || picture->cols != map.size.width) {
    return absl::DataLossError("the panoptic map is not of the size that it says");
  }
  cv::Mat scaled;
  cv::resize(*picture, scaled, size, 0, 0, cv::INTER_NEAREST);
  cv::Mat ids(size, CV_32S);
  for (int y = 0; y < ids.rows; ++y) {
    for (int x = 0; x < ids.cols; ++x) {
      const cv::Vec3b& bgr = scaled.at<cv::Vec3b>(y, x);
      ids.at<int>(y, x) = bgr[2] + 256 * bgr[1] + 65536 * bgr[0];
    }
  }
  return ids;
}

void PaintMask(const cv::Mat& mask, Rgb colour, cv::Mat& image) {
  const cv::Mat flat(image.size(), CV_8UC3, ToBgr(colour));
  cv::Mat tinted;
  cv::addWeighted(image, 1 - kTint, flat, kTint, 0, tinted);
  tinted.copyTo(image, mask);

  std::vector<std::vector<cv::Point>> outlines;
  cv::findContours(mask, outlines, cv::RETR_CCOMP, cv::CHAIN_APPROX_NONE);
  cv::drawContours(image, outlines, -1, kBlack, 3, cv::LINE_AA);
  cv::drawContours(image, outlines, -1, ToBgr(colour), 2, cv::LINE_AA);
}

std::optional<cv::Point> DeepestPixel(const cv::Mat& mask) {
  // The image's border counts as an edge.
  cv::Mat framed;
  cv::copyMakeBorder(mask, framed, 1, 1, 1, 1, cv::BORDER_CONSTANT, cv::Scalar(0));
  cv::Mat depth;
  cv::distanceTransform(framed, depth, cv::DIST_L2, cv::DIST_MASK_3);
  double deepest = 0;
  cv::Point where;
  cv::minMaxLoc(depth, nullptr, &deepest, nullptr, &where);
  if (deepest <= 0) return std::nullopt;
  return where - cv::Point(1, 1);
}

void MarkPrompt(const Prompt& prompt, Rgb colour, cv::Mat& image) {
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    const cv::Point centre = InsideOf(image, click->x, click->y);
    cv::circle(image, centre, kRingRadiusPx, kBlack, 4, cv::LINE_AA);
    cv::circle(image, centre, kRingRadiusPx, kWhite, 2, cv::LINE_AA);
    cv::circle(image, centre, 3, kBlack, cv::FILLED, cv::LINE_AA);
    cv::circle(image, centre, 2, ToBgr(colour), cv::FILLED, cv::LINE_AA);
  } else if (const Box* box = std::get_if<Box>(&prompt.shape)) {
    const cv::Point low = InsideOf(image, box->x0, box->y0);
    const cv::Point high = InsideOf(image, box->x1, box->y1);
    cv::rectangle(image, low, high, kBlack, 5);
    cv::rectangle(image, low, high, kWhite, 3);
    cv::rectangle(image, low, high, ToBgr(colour), 1);
  }
}

void NumberPrompt(int number, const Prompt& prompt, cv::Mat& image) {
  const std::string text = absl::StrCat(number);
  cv::Point anchor;
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    anchor = InsideOf(image, click->x, click->y) + cv::Point(11, -8);
  } else {
    const Box& box = std::get<Box>(prompt.shape);
    anchor = InsideOf(image, box.x0, box.y0) + cv::Point(5, 16);
  }
  anchor.x = std::clamp(anchor.x, 0, std::max(0, image.cols - 10 * static_cast<int>(text.size())));
  anchor.y = std::clamp(anchor.y, std::min(14, image.rows - 1), image.rows - 1);
  cv::putText(image, text, anchor, cv::FONT_HERSHEY_SIMPLEX, 0.5, kBlack, 3, cv::LINE_AA);
  cv::putText(image, text, anchor, cv::FONT_HERSHEY_SIMPLEX, 0.5, kWhite, 1, cv::LINE_AA);
}

void TagPainter::Avoid(const Prompt& prompt) {
  // A box is marked along its edges, which a tag may cross.
  const Click* click = std::get_if<Click>(&prompt.shape);
  if (click == nullptr) return;
  const cv::Point centre = InsideOf(image_, click->x, click->y);
  const cv::Point radius(kRingRadiusPx + 2, kRingRadiusPx + 2);
  taken_.emplace_back(centre - radius, centre + radius);
}

void TagPainter::Write(const std::string& text, Rgb colour, cv::Point where) {
  const int limit = image_.cols - kTagBarPx - 2 * kTagPaddingPx;
  if (taken_.size() >= kMaxTags || limit < 2 * kTagHeightPx || image_.rows < kTagHeightPx) return;
  const std::string shown = CutTextTo(text, limit);
  const cv::Size size(TextWidthPx(shown) + kTagBarPx + 2 * kTagPaddingPx, kTagHeightPx);
  for (const int step : {0, -1, 1, -2, 2}) {
    cv::Rect tag(where - cv::Point(size / 2) + cv::Point(0, step * (kTagHeightPx + 2)), size);
    tag.x = std::clamp(tag.x, 0, std::max(0, image_.cols - tag.width));
    tag.y = std::clamp(tag.y, 0, std::max(0, image_.rows - tag.height));
    const bool free = std::none_of(taken_.begin(), taken_.end(), [&tag](const cv::Rect& other) {
      return (tag & other).area() > 0;
    });
    if (!free) continue;
    taken_.push_back(tag);
    cv::rectangle(image_, tag, kTagGround, cv::FILLED);
    cv::rectangle(image_, cv::Rect(tag.tl(), cv::Size(kTagBarPx, tag.height)), ToBgr(colour),
                  cv::FILLED);
    WriteText(shown, kWhite, tag.tl() + cv::Point(kTagBarPx + kTagPaddingPx, kTagTextBaselinePx),
              image_);
    return;
  }
}

}  // namespace semsam::client
