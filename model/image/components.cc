#include "model/image/components.h"

#include <algorithm>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// Run lengths of every label but 0, by one walk over the pixels in their order.
std::vector<RunLengths> RunsOfLabels(const cv::Mat& labels, int count) {
  const ImageSize size{.height = labels.rows, .width = labels.cols};
  struct Open {
    int64_t end = 0;  // of the last run, column-major
    bool inside = false;
  };
  std::vector<RunLengths> runs(count, RunLengths{.size = size});
  std::vector<Open> open(count);
  int before = 0;
  const auto change = [&](int label, int64_t at) {
    if (label == 0) return;
    runs[label - 1].counts.push_back(static_cast<uint32_t>(at - open[label - 1].end));
    open[label - 1] = {.end = at, .inside = !open[label - 1].inside};
  };
  int64_t at = 0;
  for (int x = 0; x < size.width; ++x) {
    for (int y = 0; y < size.height; ++y, ++at) {
      const int label = labels.at<int32_t>(y, x);
      if (label == before) continue;
      change(before, at);
      change(label, at);
      before = label;
    }
  }
  for (int i = 0; i < count; ++i) {
    runs[i].counts.push_back(static_cast<uint32_t>(at - open[i].end));
  }
  return runs;
}

}  // namespace

absl::StatusOr<std::vector<RunLengths>> ConnectedComponents(const RunLengths& mask,
                                                            int64_t min_area_px) {
  std::vector<RunLengths> components;
  try {
    const BinaryMask plain = DecodeRunLengths(mask);
    const cv::Mat pixels(plain.size.height, plain.size.width, CV_8UC1,
                         const_cast<uint8_t*>(plain.pixels.data()));
    cv::Mat labels;
    const int count = cv::connectedComponents(pixels, labels, /*connectivity=*/8, CV_32S);
    for (RunLengths& runs : RunsOfLabels(labels, count - 1)) {
      if (MaskArea(runs) >= min_area_px) components.push_back(std::move(runs));
    }
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("components: ", error.what()));
  }
  // OpenCV numbers them as its algorithm of the day meets them.
  std::sort(components.begin(), components.end(),
            [](const RunLengths& a, const RunLengths& b) { return a.counts[0] < b.counts[0]; });
  return components;
}

}  // namespace semsam
