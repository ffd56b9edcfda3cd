#include "model/image/mask_cleanup.h"

#include <algorithm>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

struct Components {
  cv::Mat labels;              // CV_32S; 0 = not part of any
  std::vector<int64_t> areas;  // of label i + 1
};

// Components of the pixels that have `value`.
absl::StatusOr<Components> FindComponents(const BinaryMask& mask, uint8_t value) {
  Components components;
  try {
    const cv::Mat pixels(mask.size.height, mask.size.width, CV_8UC1,
                         const_cast<uint8_t*>(mask.pixels.data()));
    cv::Mat stats;
    cv::Mat centroids;
    const int labels = cv::connectedComponentsWithStats(value == 0 ? cv::Mat(1 - pixels) : pixels,
                                                        components.labels, stats, centroids,
                                                        /*connectivity=*/8, CV_32S);
    for (int i = 1; i < labels; ++i) {
      components.areas.push_back(stats.at<int32_t>(i, cv::CC_STAT_AREA));
    }
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("mask clean-up: ", error.what()));
  }
  return components;
}

// Gives every pixel of the components that are `chosen` the value `value`.
void Paint(BinaryMask& mask, const Components& components, const std::vector<uint8_t>& chosen,
           uint8_t value) {
  for (int y = 0; y < mask.size.height; ++y) {
    const int32_t* labels = components.labels.ptr<int32_t>(y);
    uint8_t* pixels = mask.pixels.data() + static_cast<size_t>(y) * mask.size.width;
    for (int x = 0; x < mask.size.width; ++x) {
      if (labels[x] > 0 && chosen[labels[x] - 1]) pixels[x] = value;
    }
  }
}

// Which components have fewer than `min_area` pixels.
std::vector<uint8_t> SmallOnes(const Components& components, int64_t min_area) {
  std::vector<uint8_t> small;
  small.reserve(components.areas.size());
  for (const int64_t area : components.areas) small.push_back(area < min_area);
  return small;
}

// The mask's box with `margin` pixels around it, as far as there are any. It begins at
// even places: OpenCV numbers components by blocks of two by two, and which of
// equally large ones is the first must not change.
PixelBox Surroundings(const RunLengths& mask, int64_t margin) {
  const PixelBox box = BoundingBox(mask);
  const int64_t left = std::max<int64_t>(0, box.x - margin) / 2 * 2;
  const int64_t top = std::max<int64_t>(0, box.y - margin) / 2 * 2;
  const int64_t right = std::min<int64_t>(mask.size.width, int64_t{box.x} + box.width + margin);
  const int64_t bottom = std::min<int64_t>(mask.size.height, int64_t{box.y} + box.height + margin);
  return {.x = static_cast<int>(left),
          .y = static_cast<int>(top),
          .width = static_cast<int>(right - left),
          .height = static_cast<int>(bottom - top)};
}

}  // namespace

absl::StatusOr<bool> FillHoles(BinaryMask& mask, int64_t min_area) {
  SEMSAM_ASSIGN_OR_RETURN(const Components holes, FindComponents(mask, 0));
  const std::vector<uint8_t> small = SmallOnes(holes, min_area);
  if (std::find(small.begin(), small.end(), 1) == small.end()) return false;
  Paint(mask, holes, small, 1);
  return true;
}

absl::StatusOr<bool> RemoveIslands(BinaryMask& mask, int64_t min_area) {
  SEMSAM_ASSIGN_OR_RETURN(const Components islands, FindComponents(mask, 1));
  std::vector<uint8_t> small = SmallOnes(islands, min_area);
  if (std::find(small.begin(), small.end(), 1) == small.end()) return false;
  if (std::find(small.begin(), small.end(), 0) == small.end()) {
    small[std::max_element(islands.areas.begin(), islands.areas.end()) - islands.areas.begin()] = 0;
  }
  Paint(mask, islands, small, 0);
  return true;
}

absl::StatusOr<bool> CleanUpMask(RunLengths& mask, int64_t min_area) {
  if (min_area < 1) return false;
  // Background that reaches beyond the window has that many pixels within it, so it is
  // no hole there either.
  const int64_t margin = std::min<int64_t>(min_area, std::max(mask.size.height, mask.size.width));
  const PixelBox window = Surroundings(mask, margin);
  BinaryMask pixels = DecodeWindow(mask, window);
  SEMSAM_ASSIGN_OR_RETURN(const bool filled, FillHoles(pixels, min_area));
  SEMSAM_ASSIGN_OR_RETURN(const bool removed, RemoveIslands(pixels, min_area));
  if (filled || removed) mask = EncodeWindow(pixels, window, mask.size);
  return filled || removed;
}

}  // namespace semsam
