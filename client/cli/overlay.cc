#include "client/cli/overlay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/panel_text.h"
#include "client/mask_codec.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"

namespace semsam::client {
namespace {

constexpr int kMinLongEdgePx = 320;  // of the image in a panel
constexpr int kMaxLongEdgePx = 640;
constexpr int kMinPanelWidthPx = 230;  // room for a title
constexpr int kGapPx = 6;
constexpr int kMaxTitleLines = 4;
constexpr int kRingRadiusPx = 8;  // around a click
constexpr double kTint = 0.45;
constexpr double kSheetAspect = 1.5;  // width over height that the grid aims at

const cv::Scalar kSheetColour(32, 32, 32);
const cv::Scalar kTitleColour(245, 245, 245);
const cv::Scalar kPlainImage(96, 96, 96);
const cv::Scalar kWhite(255, 255, 255);
const cv::Scalar kBlack(0, 0, 0);

// BGR; far apart for people who see colours differently, too (after Okabe and
// Ito).
const std::array<cv::Scalar, 8> kPromptColours = {
    cv::Scalar(0, 159, 230),  cv::Scalar(233, 180, 86),  cv::Scalar(115, 158, 0),
    cv::Scalar(66, 228, 240), cv::Scalar(167, 121, 204), cv::Scalar(0, 94, 213),
    cv::Scalar(240, 130, 60), cv::Scalar(200, 200, 200)};

const cv::Scalar& PromptColour(size_t prompt) {
  return kPromptColours[prompt % kPromptColours.size()];
}

// Sizes that all panels share.
struct Layout {
  cv::Size image;  // px, of the scaled image
  int panel_width = 0;
  int title_height = 0;
  int columns = 1;
  double scale_x = 1;  // panel px an image px
  double scale_y = 1;

  cv::Size panel() const { return {panel_width, title_height + image.height}; }
};

cv::Size ScaledSize(ImageSize size) {
  const int long_edge = std::max(size.width, size.height);
  const double scale =
      static_cast<double>(std::clamp(long_edge, kMinLongEdgePx, kMaxLongEdgePx)) / long_edge;
  return {std::max(1, static_cast<int>(std::lround(size.width * scale))),
          std::max(1, static_cast<int>(std::lround(size.height * scale)))};
}

int BestColumns(cv::Size panel, size_t panels) {
  int best = 1;
  double best_cost = 0;
  for (int columns = 1; columns <= static_cast<int>(panels); ++columns) {
    const int rows = (static_cast<int>(panels) + columns - 1) / columns;
    const int empty = rows * columns - static_cast<int>(panels);
    const double aspect = static_cast<double>(columns * panel.width) / (rows * panel.height);
    const double cost = std::abs(std::log(aspect / kSheetAspect)) + 0.3 * empty;
    if (columns == 1 || cost < best_cost) {
      best = columns;
      best_cost = cost;
    }
  }
  return best;
}

std::vector<Word> Title(const OverlayRequest& request, const GranularityLevel& level) {
  std::vector<Word> words = {{absl::StrCat("level ", level.level), kTitleColour}};
  if (!level.name.empty()) words.push_back({level.name, kTitleColour});
  bool any = false;
  for (const Mask& mask : request.masks) {
    if (mask.level != level.level) continue;
    any = true;
    const std::string iou = absl::StrFormat("IoU %.3f", mask.predicted_iou);
    const bool single = request.prompts.size() == 1;
    words.push_back({single ? iou : absl::StrCat(mask.prompt_index + 1, ": ", iou),
                     single ? kTitleColour : PromptColour(mask.prompt_index)});
  }
  if (!any) words.push_back({"no mask", kTitleColour});
  return words;
}

// The image at panel size, or nothing if there is none that OpenCV reads.
std::optional<cv::Mat> ReadImage(std::string_view bytes, cv::Size size) {
  if (bytes.empty() || bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return std::nullopt;
  }
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8UC1,
                        const_cast<char*>(bytes.data()));
  cv::Mat image;
  try {
    image = cv::imdecode(encoded, cv::IMREAD_COLOR);  // applies the EXIF orientation
  } catch (const cv::Exception&) {
    return std::nullopt;
  }
  if (image.empty()) return std::nullopt;
  cv::Mat scaled;
  cv::resize(image, scaled, size, 0, 0,
             size.width < image.cols ? cv::INTER_AREA : cv::INTER_LINEAR);
  return scaled;
}

// The mask at panel size, 0 or 255 a pixel.
absl::StatusOr<cv::Mat> ScaledMask(const Mask& mask, cv::Size size) {
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

void PaintMask(const cv::Mat& mask, const cv::Scalar& colour, cv::Mat& image) {
  const cv::Mat flat(image.size(), CV_8UC3, colour);
  cv::Mat tinted;
  cv::addWeighted(image, 1 - kTint, flat, kTint, 0, tinted);
  tinted.copyTo(image, mask);

  std::vector<std::vector<cv::Point>> outlines;
  cv::findContours(mask, outlines, cv::RETR_CCOMP, cv::CHAIN_APPROX_NONE);
  cv::drawContours(image, outlines, -1, kBlack, 3, cv::LINE_AA);
  cv::drawContours(image, outlines, -1, colour, 2, cv::LINE_AA);
}

cv::Point ToPanel(float x, float y, const Layout& layout) {
  const double limit_x = layout.image.width - 1;
  const double limit_y = layout.image.height - 1;
  return {static_cast<int>(std::clamp<double>(x * layout.scale_x, 0, limit_x)),
          static_cast<int>(std::clamp<double>(y * layout.scale_y, 0, limit_y))};
}

void MarkPrompt(const Prompt& prompt, const cv::Scalar& colour, const Layout& layout,
                cv::Mat& image) {
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    const cv::Point centre = ToPanel(click->x, click->y, layout);
    cv::circle(image, centre, kRingRadiusPx, kBlack, 4, cv::LINE_AA);
    cv::circle(image, centre, kRingRadiusPx, kWhite, 2, cv::LINE_AA);
    cv::circle(image, centre, 3, kBlack, cv::FILLED, cv::LINE_AA);
    cv::circle(image, centre, 2, colour, cv::FILLED, cv::LINE_AA);
  } else if (const Box* box = std::get_if<Box>(&prompt.shape)) {
    const cv::Point low = ToPanel(box->x0, box->y0, layout);
    const cv::Point high = ToPanel(box->x1, box->y1, layout);
    cv::rectangle(image, low, high, kBlack, 5);
    cv::rectangle(image, low, high, kWhite, 3);
    cv::rectangle(image, low, high, colour, 1);
  }
}

// The number of a prompt, as the titles use it, beside its mark.
void NumberPrompt(size_t index, const Prompt& prompt, const Layout& layout, cv::Mat& image) {
  const std::string text = absl::StrCat(index + 1);
  cv::Point anchor;
  if (const Click* click = std::get_if<Click>(&prompt.shape)) {
    anchor = ToPanel(click->x, click->y, layout) + cv::Point(11, -8);
  } else {
    const Box& box = std::get<Box>(prompt.shape);
    anchor = ToPanel(box.x0, box.y0, layout) + cv::Point(5, 16);
  }
  anchor.x = std::clamp(anchor.x, 0, std::max(0, image.cols - 10 * static_cast<int>(text.size())));
  anchor.y = std::clamp(anchor.y, std::min(14, image.rows - 1), image.rows - 1);
  cv::putText(image, text, anchor, cv::FONT_HERSHEY_SIMPLEX, 0.5, kBlack, 3, cv::LINE_AA);
  cv::putText(image, text, anchor, cv::FONT_HERSHEY_SIMPLEX, 0.5, kWhite, 1, cv::LINE_AA);
}

// The panel's image: masks of `level`, largest first so that small ones stay
// visible, then every prompt.
absl::Status PaintLevel(const OverlayRequest& request, int level, const Layout& layout,
                        cv::Mat& image) {
  std::vector<const Mask*> masks;
  for (const Mask& mask : request.masks) {
    if (mask.level == level && mask.area_px > 0) masks.push_back(&mask);
  }
  std::stable_sort(masks.begin(), masks.end(),
                   [](const Mask* a, const Mask* b) { return a->area_px > b->area_px; });
  for (const Mask* mask : masks) {
    auto scaled = ScaledMask(*mask, image.size());
    if (!scaled.ok()) return scaled.status();
    PaintMask(*scaled, PromptColour(mask->prompt_index), image);
  }
  for (size_t i = 0; i < request.prompts.size(); ++i) {
    MarkPrompt(request.prompts[i], PromptColour(i), layout, image);
    if (request.prompts.size() > 1) NumberPrompt(i, request.prompts[i], layout, image);
  }
  return absl::OkStatus();
}

absl::StatusOr<OverlayPicture> Draw(const OverlayRequest& request) {
  Layout layout{.image = ScaledSize(request.image_size)};
  layout.panel_width = std::max(layout.image.width, kMinPanelWidthPx);
  layout.scale_x = static_cast<double>(layout.image.width) / request.image_size.width;
  layout.scale_y = static_cast<double>(layout.image.height) / request.image_size.height;
  std::vector<TextBlock> titles;
  for (const GranularityLevel& level : request.levels) {
    titles.push_back(FlowText(Title(request, level), layout.panel_width, kMaxTitleLines));
    layout.title_height = std::max(layout.title_height, titles.back().height_px);
  }
  layout.columns = BestColumns(layout.panel(), titles.size());

  OverlayPicture picture;
  const std::optional<cv::Mat> read = ReadImage(request.image_bytes, layout.image);
  picture.has_image = read.has_value();
  const cv::Mat background = read.value_or(cv::Mat(layout.image, CV_8UC3, kPlainImage));

  const int columns = layout.columns;
  const int rows = (static_cast<int>(titles.size()) + columns - 1) / columns;
  const cv::Size step = layout.panel() + cv::Size(kGapPx, kGapPx);
  cv::Mat sheet(rows * step.height + kGapPx, columns * step.width + kGapPx, CV_8UC3, kSheetColour);
  for (size_t i = 0; i < titles.size(); ++i) {
    cv::Mat image = background.clone();
    const absl::Status painted = PaintLevel(request, request.levels[i].level, layout, image);
    if (!painted.ok()) return painted;
    const cv::Point corner(kGapPx + static_cast<int>(i) % columns * step.width,
                           kGapPx + static_cast<int>(i) / columns * step.height);
    DrawText(titles[i], corner, sheet);
    const int left = (layout.panel_width - layout.image.width) / 2;
    image.copyTo(sheet(cv::Rect(corner + cv::Point(left, layout.title_height), image.size())));
  }

  std::vector<unsigned char> png;
  if (!cv::imencode(".png", sheet, png)) return absl::InternalError("the picture does not encode");
  picture.png.assign(png.begin(), png.end());
  return picture;
}

}  // namespace

absl::StatusOr<OverlayPicture> DrawOverlay(const OverlayRequest& request) {
  if (request.image_size.width < 1 || request.image_size.height < 1) {
    return absl::InvalidArgumentError("an image without pixels cannot be drawn");
  }
  if (request.levels.empty() || request.levels.size() > kMaxPanels) {
    return absl::InvalidArgumentError(
        absl::StrCat("a picture has 1 to ", kMaxPanels, " panels, not ", request.levels.size()));
  }
  try {
    return Draw(request);
  } catch (const std::exception& error) {  // OpenCV, or memory
    return absl::InternalError(absl::StrCat("cannot draw the overlay: ", error.what()));
  }
}

}  // namespace semsam::client
