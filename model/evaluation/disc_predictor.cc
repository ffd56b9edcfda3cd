#include "model/evaluation/disc_predictor.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace semsam {
namespace {

// Scores fall with the distance from this disc: among nothing but sizes, the one that
// fits best on average.
constexpr int kSurestDisc = 4;

class DiscSession : public PictureSession {
 public:
  explicit DiscSession(ImageSize picture) : picture_(picture) {}

  absl::StatusOr<std::vector<PromptAnswer>> Click(std::span<const PicturePoint> points) override {
    const double short_edge = std::min(picture_.height, picture_.width);
    std::vector<PromptAnswer> answers;
    for (const PicturePoint& point : points) {
      PromptAnswer answer;
      for (int i = 0; i < static_cast<int>(kDiscRadii.size()); ++i) {
        const double radius = kDiscRadii[i] * short_edge;
        answer.masks.push_back({.mask = EllipseMask(picture_, point.x, point.y, radius, radius),
                                .score = 1.0 / (1 + std::abs(i - kSurestDisc))});
      }
      answers.push_back(std::move(answer));
    }
    return answers;
  }

  absl::StatusOr<std::vector<PromptAnswer>> Box(std::span<const PictureBox> boxes) override {
    std::vector<PromptAnswer> answers;
    for (const PictureBox& box : boxes) {
      PromptAnswer answer;
      answer.masks.push_back(
          {.mask = EllipseMask(picture_, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2,
                               (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2),
           .score = 1});
      answers.push_back(std::move(answer));
    }
    return answers;
  }

 private:
  const ImageSize picture_;
};

// The first and last + 1 of the cells 0 to count - 1 whose centres are within `half` of
// `centre`.
std::pair<int, int> CellsWithin(double centre, double half, int count) {
  const double first = std::ceil(centre - half - 0.5);
  const double end = std::floor(centre + half - 0.5) + 1;
  const double limit = count;
  return {static_cast<int>(std::clamp(first, 0.0, limit)),
          static_cast<int>(std::clamp(end, 0.0, limit))};
}

}  // namespace

RunLengths EllipseMask(ImageSize picture, double cx, double cy, double half_width,
                       double half_height) {
  RunLengths runs{.size = picture};
  int64_t last = 0;  // where the run before ends
  const auto [left, right] = CellsWithin(cx, half_width, picture.width);
  for (int x = left; x < right; ++x) {
    const double across = half_width > 0 ? (x + 0.5 - cx) / half_width : 0;
    const double half = half_height * std::sqrt(std::max(0.0, 1 - across * across));
    const auto [top, bottom] = CellsWithin(cy, half, picture.height);
    if (top >= bottom) continue;
    const int64_t begin = int64_t{x} * picture.height + top;
    if (begin == last && !runs.counts.empty()) {
      runs.counts.back() += static_cast<uint32_t>(bottom - top);
    } else {
      runs.counts.push_back(static_cast<uint32_t>(begin - last));
      runs.counts.push_back(static_cast<uint32_t>(bottom - top));
    }
    last = begin + bottom - top;
  }
  if (last < picture.area() || runs.counts.empty()) {
    runs.counts.push_back(static_cast<uint32_t>(picture.area() - last));
  }
  return runs;
}

absl::StatusOr<std::unique_ptr<PictureSession>> DiscPredictor::Open(const Rgb8Image& picture) {
  if (picture.size.height <= 0 || picture.size.width <= 0) {
    return absl::InvalidArgumentError("the picture has no pixels");
  }
  return std::make_unique<DiscSession>(picture.size);
}

}  // namespace semsam
