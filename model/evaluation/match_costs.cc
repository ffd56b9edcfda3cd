#include "model/evaluation/match_costs.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "model/image/run_lengths.h"

namespace semsam {
namespace {

constexpr double kEpsilon = 1e-6;

// Bilinear value at (x, y) in units of cells, cell centres at +0.5; 0 outside. `x` and
// `y` are not negative.
template <typename At>
float Bilinear(double x, double y, ImageSize size, At&& at) {
  // What rounds to zero is what rounds down here, and costs no call.
  const int left = static_cast<int>(x + 0.5) - 1, top = static_cast<int>(y + 0.5) - 1;
  const double fx = x - 0.5 - left, fy = y - 0.5 - top;
  const bool inside = left >= 0 && top >= 0 && left + 1 < size.width && top + 1 < size.height;
  const auto value = [&](int row, int column) -> double {
    if (!inside && (column < 0 || row < 0 || column >= size.width || row >= size.height)) return 0;
    return at(row, column);
  };
  return static_cast<float>((1 - fy) * ((1 - fx) * value(top, left) + fx * value(top, left + 1)) +
                            fy * ((1 - fx) * value(top + 1, left) + fx * value(top + 1, left + 1)));
}

struct Corners {
  double x0, y0, x1, y1;
  double area() const { return (x1 - x0) * (y1 - y0); }
};

Corners CornersOf(const CenterBox& box) {
  return {box.cx - 0.5 * box.w, box.cy - 0.5 * box.h, box.cx + 0.5 * box.w, box.cy + 0.5 * box.h};
}

double GeneralizedIou(const CenterBox& first, const CenterBox& second) {
  const Corners a = CornersOf(first), b = CornersOf(second);
  const double width = std::max(0.0, std::min(a.x1, b.x1) - std::max(a.x0, b.x0));
  const double height = std::max(0.0, std::min(a.y1, b.y1) - std::max(a.y0, b.y0));
  const double shared = width * height;
  const double either = a.area() + b.area() - shared;
  const double hull =
      (std::max(a.x1, b.x1) - std::min(a.x0, b.x0)) * (std::max(a.y1, b.y1) - std::min(a.y0, b.y0));
  return shared / (either + kEpsilon) - (hull - either) / (hull + kEpsilon);
}

double L1(const CenterBox& a, const CenterBox& b) {
  return std::abs(a.cx - b.cx) + std::abs(a.cy - b.cy) + std::abs(a.w - b.w) + std::abs(a.h - b.h);
}

// Sums over the points that every pair with this prediction needs.
struct PredictionSums {
  std::vector<float> sigmoid;
  double softplus = 0;
  double probability = 0;

  explicit PredictionSums(std::span<const float> logits) {
    sigmoid.reserve(logits.size());
    // softplus(x) = max(x, 0) + log(1 + exp(-|x|)). Logarithms of many factors, each of
    // 1 to 2, are taken at once.
    constexpr double kLargestProduct = 0x1p512;
    double product = 1;
    for (const float logit : logits) {
      const double small = std::exp(-std::abs(static_cast<double>(logit)));
      const double factor = 1 + small;
      sigmoid.push_back(static_cast<float>((logit >= 0 ? 1 : small) / factor));
      probability += sigmoid.back();
      softplus += std::max(static_cast<double>(logit), 0.0);
      product *= factor;
      if (product > kLargestProduct) {
        softplus += std::log(product);
        product = 1;
      }
    }
    softplus += std::log(product);
  }
};

}  // namespace

std::vector<MatchPoint> MakeMatchPoints(uint64_t seed, int count) {
  std::mt19937_64 random(seed);
  // The 24 highest bits: what a float of [0, 1) holds. std's distributions differ
  // between libraries.
  const auto next = [&random] { return static_cast<float>(random() >> 40) * 0x1p-24f; };
  std::vector<MatchPoint> points(static_cast<size_t>(std::max(count, 0)));
  for (MatchPoint& point : points) {
    point.x = next();
    point.y = next();
  }
  return points;
}

std::vector<float> SampleLogits(LogitsView logits, std::span<const MatchPoint> points) {
  std::vector<float> samples;
  samples.reserve(points.size());
  for (const MatchPoint& point : points) {
    samples.push_back(Bilinear(static_cast<double>(point.x) * logits.size.width,
                               static_cast<double>(point.y) * logits.size.height, logits.size,
                               [&](int y, int x) { return logits.at(y, x); }));
  }
  return samples;
}

std::vector<float> SampleMask(const BinaryMask& mask, const ImageGeometry& geometry,
                              std::span<const MatchPoint> points) {
  const ImageSize size = geometry.original;
  const double scale_x =
      static_cast<double>(geometry.padded.width) * size.width / geometry.network.width;
  const double scale_y =
      static_cast<double>(geometry.padded.height) * size.height / geometry.network.height;
  std::vector<float> samples;
  samples.reserve(points.size());
  for (const MatchPoint& point : points) {
    samples.push_back(Bilinear(point.x * scale_x, point.y * scale_y, size, [&](int y, int x) {
      return mask.pixels[static_cast<size_t>(y) * size.width + x];
    }));
  }
  return samples;
}

CenterBox MaskCenterBox(const RunLengths& mask, const ImageGeometry& geometry) {
  const PixelBox box = BoundingBox(mask);
  const double scale_x =
      static_cast<double>(geometry.network.width) / geometry.original.width / geometry.padded.width;
  const double scale_y = static_cast<double>(geometry.network.height) / geometry.original.height /
                         geometry.padded.height;
  return {.cx = static_cast<float>((box.x + 0.5 * box.width) * scale_x),
          .cy = static_cast<float>((box.y + 0.5 * box.height) * scale_y),
          .w = static_cast<float>(box.width * scale_x),
          .h = static_cast<float>(box.height * scale_y)};
}

std::vector<MatchCost> MatchCosts(std::span<const MatchSide> predictions,
                                  std::span<const MatchSide> truths) {
  std::vector<MatchCost> costs;
  costs.reserve(predictions.size() * truths.size());
  for (const MatchSide& prediction : predictions) {
    const PredictionSums sums(prediction.samples);
    const double count = static_cast<double>(prediction.samples.size());
    for (const MatchSide& truth : truths) {
      double logit_in = 0, probability_in = 0, area = 0;
      for (size_t i = 0; i < truth.samples.size(); ++i) {
        const double inside = truth.samples[i];
        logit_in += prediction.samples[i] * inside;
        probability_in += sums.sigmoid[i] * inside;
        area += inside;
      }
      // softplus(-x) t + softplus(x) (1 - t) = softplus(x) - x t
      costs.push_back({.bce = (sums.softplus - logit_in) / count,
                       .dice = 1 - (2 * probability_in + 1) / (sums.probability + area + 1),
                       .l1 = L1(prediction.box, truth.box),
                       .giou = GeneralizedIou(prediction.box, truth.box)});
    }
  }
  return costs;
}

}  // namespace semsam
