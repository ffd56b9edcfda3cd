#include "client/cli/panel_text.h"

#include "absl/strings/str_cat.h"
#include "client/cli/legend.h"
#include "opencv2/imgproc.hpp"

namespace semsam::client {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kScale = 0.45;
constexpr int kThickness = 1;
constexpr int kLineHeightPx = 18;
constexpr int kBaselinePx = 13;  // below a line's top
constexpr int kWordGapPx = 10;

// Places words from `x`, `line` on; returns how many fit into `max_lines`.
size_t Place(const std::vector<Word>& words, int width_px, int max_lines, TextBlock& block) {
  const int limit = width_px - kTextMarginPx;
  int x = kTextMarginPx;
  int line = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string text = CutTextTo(ToAscii(words[i].text), limit - kTextMarginPx);
    const int width = TextWidthPx(text);
    if (x > kTextMarginPx && x + width > limit) {
      x = kTextMarginPx;
      if (++line == max_lines) return i;
    }
    block.words.push_back({.word = {text, words[i].colour},
                           .origin_px = {x, kTextMarginPx + line * kLineHeightPx + kBaselinePx}});
    block.height_px = 2 * kTextMarginPx + (line + 1) * kLineHeightPx;
    x += width + kWordGapPx;
  }
  return words.size();
}

}  // namespace

int TextWidthPx(const std::string& text) {
  int baseline = 0;
  return cv::getTextSize(text, kFont, kScale, kThickness, &baseline).width;
}

std::string CutTextTo(std::string text, int width_px) {
  if (TextWidthPx(text) <= width_px) return text;
  while (!text.empty() && TextWidthPx(text + "..") > width_px) text.pop_back();
  return text + "..";
}

void WriteText(const std::string& text, const cv::Scalar& colour, cv::Point baseline,
               cv::Mat& picture) {
  cv::putText(picture, text, baseline, kFont, kScale, colour, kThickness, cv::LINE_AA);
}

TextBlock FlowText(const std::vector<Word>& words, int width_px, int max_lines) {
  TextBlock block;
  size_t kept = Place(words, width_px, max_lines, block);
  // Drop words until what is left and the count of the dropped fit together.
  while (kept < words.size()) {
    std::vector<Word> shorter(words.begin(), words.begin() + kept);
    shorter.push_back({absl::StrCat("+", words.size() - kept), words.front().colour});
    block = {};
    if (Place(shorter, width_px, max_lines, block) == shorter.size() || kept == 0) break;
    --kept;
  }
  return block;
}

void DrawText(const TextBlock& block, cv::Point corner, cv::Mat& picture) {
  for (const PlacedWord& placed : block.words) {
    WriteText(placed.word.text, placed.word.colour, corner + placed.origin_px, picture);
  }
}

}  // namespace semsam::client
