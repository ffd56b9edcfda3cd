// Text that fits: words of their own colours, flowed into lines of one width.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_PANEL_TEXT_H_
#define SEMSAM_CLIENT_CLI_PANEL_TEXT_H_

#include <string>
#include <vector>

#include "opencv2/core.hpp"

namespace semsam::client {

struct Word {
  std::string text;
  cv::Scalar colour;  // BGR
};

// A word and where its baseline starts, relative to the block's top left.
struct PlacedWord {
  Word word;
  cv::Point origin_px;
};

struct TextBlock {
  std::vector<PlacedWord> words;
  int height_px = 0;
};

inline constexpr int kTextMarginPx = 6;  // on every side of a block

// Breaks lines so that no word passes `width_px`; a word that is too wide alone
// is cut and ends in "..". What does not fit into `max_lines` gives way to a
// last word "+N".
TextBlock FlowText(const std::vector<Word>& words, int width_px, int max_lines);

// Draws `block` with its top left at `corner`.
void DrawText(const TextBlock& block, cv::Point corner, cv::Mat& picture);

// Width of `text` as DrawText draws it.
int TextWidthPx(const std::string& text);

// ASCII `text`, shortened and ended by ".." if it is wider.
std::string CutTextTo(std::string text, int width_px);

// One line of ASCII from `baseline` on, in DrawText's letters.
void WriteText(const std::string& text, const cv::Scalar& colour, cv::Point baseline,
               cv::Mat& picture);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_PANEL_TEXT_H_
