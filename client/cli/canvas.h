// Brushes for the pictures of a run: images and masks at panel size, marks of
// prompts, tags that keep clear of each other.
//
// Errors of OpenCV are thrown; client/cli/overlay.h catches them. Free functions
// are thread-safe, TagPainter is not.
#ifndef SEMSAM_CLIENT_CLI_CANVAS_H_
#define SEMSAM_CLIENT_CLI_CANVAS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/legend.h"
#include "client/scene_types.h"
#include "client/types.h"
#include "opencv2/core.hpp"

namespace semsam::client {

cv::Scalar ToBgr(Rgb colour);

// An encoded image as BGR; nothing if OpenCV does not read it. Applies the EXIF
// orientation unless `raw`.
std::optional<cv::Mat> DecodeImage(std::string_view bytes, bool raw = false);

// `image` at `size`, smoothly.
cv::Mat ScaleImage(const cv::Mat& image, cv::Size size);

// The mask at panel size, 0 or 255 a pixel [H, W].
absl::StatusOr<cv::Mat> ScaleMask(const Mask& mask, cv::Size size);

// Ids of a panoptic map at panel size, CV_32S [H, W]; DATA_LOSS for a picture
// that is none of its size.
absl::StatusOr<cv::Mat> ScaleMap(const PanopticMap& map, cv::Size size);

// Tints the mask's pixels and draws its outline, dark around the colour.
void PaintMask(const cv::Mat& mask, Rgb colour, cv::Mat& image);

// The pixel that lies deepest inside the mask; nothing for an empty one.
std::optional<cv::Point> DeepestPixel(const cv::Mat& mask);

// A ring or a frame; `prompt` in pixels of the panel.
void MarkPrompt(const Prompt& prompt, Rgb colour, cv::Mat& image);
// The prompt's number beside its mark.
void NumberPrompt(int number, const Prompt& prompt, cv::Mat& image);

// Writes names on an image, white on dark so that any ground will do.
class TagPainter {
 public:
  explicit TagPainter(cv::Mat& image) : image_(image) {}

  // Keeps tags off the mark of a prompt, in pixels of the panel.
  void Avoid(const Prompt& prompt);

  // Centred on `where` or a little above or below; left out where no place is
  // free of other tags. `text` is ASCII.
  void Write(const std::string& text, Rgb colour, cv::Point where);

 private:
  cv::Mat& image_;
  std::vector<cv::Rect> taken_;
};

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_CANVAS_H_
