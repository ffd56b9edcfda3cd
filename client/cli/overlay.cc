#include "client/cli/overlay.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/canvas.h"
#include "client/cli/panel_text.h"
#include "opencv2/core.hpp"
#include "opencv2/imgcodecs.hpp"
#include "opencv2/imgproc.hpp"

namespace semsam::client {
namespace {

constexpr int kMinLongEdgePx = 320;  // of the image in a panel
constexpr int kMaxLongEdgePx = 640;
constexpr int kMaxLongEdgeOfFewPx = 1024;  // where there are not many panels
constexpr size_t kFewPanels = 2;
constexpr int kMinPanelWidthPx = 230;  // room for a title
constexpr int kGapPx = 6;
constexpr int kMaxTitleLines = 4;
constexpr double kSheetAspect = 1.5;  // width over height that the grid aims at
constexpr int kLegendWidthPx = 230;
constexpr int kLegendLinePx = 20;
constexpr int kMinLegendLines = 8;  // that the sheet grows for, if it must
constexpr int kSwatchPx = 12;

const cv::Scalar kSheetColour(32, 32, 32);
const cv::Scalar kTextColour(245, 245, 245);
const cv::Scalar kFaintColour(150, 150, 150);
const cv::Scalar kPlainImage(96, 96, 96);

// Sizes that all panels share.
struct Layout {
  cv::Size image;  // px, of the scaled image
  int panel_width = 0;
  int title_height = 0;
  int columns = 1;

  cv::Size panel() const { return {panel_width, title_height + image.height}; }
};

cv::Size ScaledSize(ImageSize size, int max_long_edge) {
  const int long_edge = std::max(size.width, size.height);
  const double scale =
      static_cast<double>(std::clamp(long_edge, kMinLongEdgePx, max_long_edge)) / long_edge;
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

Prompt ToPanel(Prompt prompt, ImageSize from, cv::Size to) {
  const float scale_x = static_cast<float>(to.width) / from.width;
  const float scale_y = static_cast<float>(to.height) / from.height;
  if (Click* click = std::get_if<Click>(&prompt.shape)) {
    *click = {click->x * scale_x, click->y * scale_y};
  } else if (Box* box = std::get_if<Box>(&prompt.shape)) {
    *box = {box->x0 * scale_x, box->y0 * scale_y, box->x1 * scale_x, box->y1 * scale_y};
  }
  return prompt;
}

struct Tag {
  std::string text;
  Rgb colour;
  cv::Point where;
};

void WriteTags(const std::vector<std::optional<Tag>>& tags, const std::vector<Prompt>& prompts,
               cv::Mat& image) {
  TagPainter painter(image);
  for (const Prompt& prompt : prompts) painter.Avoid(prompt);
  for (const std::optional<Tag>& tag : tags) {
    if (tag.has_value()) painter.Write(tag->text, tag->colour, tag->where);
  }
}

std::optional<Tag> MakeTag(const std::string& text, Rgb colour, const cv::Mat& mask) {
  if (text.empty()) return std::nullopt;
  const std::optional<cv::Point> where = DeepestPixel(mask);
  if (!where.has_value()) return std::nullopt;
  return Tag{text, colour, *where};
}

// `prompts` are in pixels of the panel; their marks stay free of tags.
absl::Status PaintMasks(const std::vector<PaintedMask>& masks, const std::vector<Prompt>& prompts,
                        cv::Mat& image) {
  std::vector<size_t> order;
  for (size_t i = 0; i < masks.size(); ++i) {
    if (masks[i].mask->area_px > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&masks](size_t a, size_t b) {
    return masks[a].mask->area_px > masks[b].mask->area_px;
  });
  std::vector<std::optional<Tag>> tags(masks.size());
  for (const size_t i : order) {
    const auto scaled = ScaleMask(*masks[i].mask, image.size());
    if (!scaled.ok()) return scaled.status();
    PaintMask(*scaled, masks[i].colour, image);
    tags[i] = MakeTag(masks[i].tag, masks[i].colour, *scaled);
  }
  WriteTags(tags, prompts, image);
  return absl::OkStatus();
}

absl::Status PaintMap(const Panel& panel, cv::Mat& image) {
  const auto ids = ScaleMap(*panel.map, image.size());
  if (!ids.ok()) return ids.status();
  std::vector<std::optional<Tag>> tags;
  for (const auto& [id, look] : panel.map_colours) {
    const cv::Mat mask = *ids == id;
    if (cv::countNonZero(mask) == 0) continue;  // too small for this panel
    PaintMask(mask, look.colour, image);
    tags.push_back(MakeTag(look.tag, look.colour, mask));
  }
  WriteTags(tags, /*prompts=*/{}, image);
  return absl::OkStatus();
}

absl::Status PaintPanel(const OverlayRequest& request, const Panel& panel, cv::Mat& image) {
  std::vector<Prompt> prompts;
  for (const Prompt& prompt : request.prompts) {
    prompts.push_back(ToPanel(prompt, request.image_size, image.size()));
  }
  absl::Status status =
      panel.map == nullptr ? PaintMasks(panel.masks, prompts, image) : PaintMap(panel, image);
  if (!status.ok()) return status;
  for (size_t i = 0; i < prompts.size(); ++i) {
    MarkPrompt(prompts[i], NumberedColour(i), image);
    if (prompts.size() > 1) NumberPrompt(static_cast<int>(i) + 1, prompts[i], image);
  }
  return absl::OkStatus();
}

std::vector<TextBlock> Titles(const OverlayRequest& request, Layout& layout) {
  std::vector<TextBlock> titles;
  for (const Panel& panel : request.panels) {
    std::vector<Word> words;
    for (const ColouredText& part : panel.title) words.push_back({part.text, ToBgr(part.colour)});
    titles.push_back(FlowText(words, layout.panel_width, kMaxTitleLines));
    layout.title_height = std::max(layout.title_height, titles.back().height_px);
  }
  return titles;
}

// The words with regions, a line each; then how many lines did not fit, and how
// many words have no region.
void DrawLegend(const Legend& legend, const cv::Rect& frame, cv::Mat& sheet) {
  std::vector<const Legend::Entry*> found;
  for (const Legend::Entry& entry : legend.entries()) {
    if (entry.regions > 0) found.push_back(&entry);
  }
  const size_t absent = legend.entries().size() - found.size();
  const size_t room = std::max(2, frame.height / kLegendLinePx) - 2;
  const size_t shown = std::min(found.size(), room);
  cv::Point line = frame.tl() + cv::Point(kTextMarginPx, kTextMarginPx);
  const cv::Point baseline(kSwatchPx + kTextMarginPx, kSwatchPx - 1);
  const int width = frame.width - 3 * kTextMarginPx - kSwatchPx;
  for (size_t i = 0; i < shown; ++i, line.y += kLegendLinePx) {
    const Legend::Entry& entry = *found[i];
    cv::rectangle(sheet, cv::Rect(line, cv::Size(kSwatchPx, kSwatchPx)), ToBgr(entry.colour),
                  cv::FILLED);
    const std::string count = absl::StrCat(" x", entry.regions);
    const std::string name =
        CutTextTo(absl::StrCat(entry.number, " ", ToAscii(entry.name)), width - TextWidthPx(count));
    WriteText(name + count, kTextColour, line + baseline, sheet);
  }
  if (shown < found.size()) {
    WriteText(absl::StrCat("+", found.size() - shown, " more words"), kFaintColour, line + baseline,
              sheet);
    line.y += kLegendLinePx;
  }
  if (absent > 0) {
    WriteText(absl::StrCat(absent, absent == 1 ? " word" : " words", " without a region"),
              kFaintColour, line + baseline, sheet);
  }
}

cv::Mat MakeSheet(const Layout& layout, size_t panels, size_t legend_entries) {
  const int rows = (static_cast<int>(panels) + layout.columns - 1) / layout.columns;
  const cv::Size step = layout.panel() + cv::Size(kGapPx, kGapPx);
  cv::Size size(layout.columns * step.width + kGapPx, rows * step.height + kGapPx);
  if (legend_entries > 0) {
    const int lines = std::min<int>(kMinLegendLines, static_cast<int>(legend_entries)) + 2;
    size.width += kLegendWidthPx + kGapPx;
    size.height = std::max(size.height, lines * kLegendLinePx + 2 * kGapPx);
  }
  return cv::Mat(size, CV_8UC3, kSheetColour);
}

absl::StatusOr<OverlayPicture> Draw(const OverlayRequest& request) {
  const bool few = request.panels.size() <= kFewPanels;
  Layout layout{.image =
                    ScaledSize(request.image_size, few ? kMaxLongEdgeOfFewPx : kMaxLongEdgePx)};
  layout.panel_width = std::max(layout.image.width, kMinPanelWidthPx);
  const std::vector<TextBlock> titles = Titles(request, layout);
  layout.columns = BestColumns(layout.panel(), titles.size());

  OverlayPicture picture;
  const std::optional<cv::Mat> read = DecodeImage(request.image_bytes);
  picture.has_image = read.has_value();
  const cv::Mat background = read.has_value() ? ScaleImage(*read, layout.image)
                                              : cv::Mat(layout.image, CV_8UC3, kPlainImage);

  cv::Mat sheet = MakeSheet(layout, titles.size(), request.legend.entries().size());
  const cv::Size step = layout.panel() + cv::Size(kGapPx, kGapPx);
  for (size_t i = 0; i < titles.size(); ++i) {
    cv::Mat image = background.clone();
    const absl::Status painted = PaintPanel(request, request.panels[i], image);
    if (!painted.ok()) return painted;
    const cv::Point corner(kGapPx + static_cast<int>(i) % layout.columns * step.width,
                           kGapPx + static_cast<int>(i) / layout.columns * step.height);
    DrawText(titles[i], corner, sheet);
    const int left = (layout.panel_width - layout.image.width) / 2;
    image.copyTo(sheet(cv::Rect(corner + cv::Point(left, layout.title_height), image.size())));
  }
  if (!request.legend.entries().empty()) {
    DrawLegend(request.legend,
               cv::Rect(sheet.cols - kLegendWidthPx - kGapPx, kGapPx, kLegendWidthPx,
                        sheet.rows - 2 * kGapPx),
               sheet);
  }

  std::vector<unsigned char> png;
  if (!cv::imencode(".png", sheet, png)) return absl::InternalError("the picture does not encode");
  picture.png.assign(png.begin(), png.end());
  return picture;
}

absl::Status Check(const OverlayRequest& request) {
  if (request.image_size.width < 1 || request.image_size.height < 1) {
    return absl::InvalidArgumentError("an image without pixels cannot be drawn");
  }
  if (request.panels.empty() || request.panels.size() > kMaxPanels) {
    return absl::InvalidArgumentError(
        absl::StrCat("a picture has 1 to ", kMaxPanels, " panels, not ", request.panels.size()));
  }
  for (const Panel& panel : request.panels) {
    if (panel.title.empty()) return absl::InvalidArgumentError("a panel without a title");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OverlayPicture> DrawOverlay(const OverlayRequest& request) {
  if (absl::Status status = Check(request); !status.ok()) return status;
  try {
    return Draw(request);
  } catch (const std::exception& error) {  // OpenCV, or memory
    return absl::InternalError(absl::StrCat("cannot draw the overlay: ", error.what()));
  }
}

}  // namespace semsam::client
