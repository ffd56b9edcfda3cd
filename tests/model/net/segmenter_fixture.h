// Segmenters, images and prompts for tests through the Segmenter interface.
#ifndef SEMSAM_TESTS_MODEL_NET_SEGMENTER_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_NET_SEGMENTER_FIXTURE_H_

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "model/net/torch_segmenter.h"
#include "model/segmenter.h"

namespace semsam::testing {

inline std::unique_ptr<Segmenter> MakeSegmenter(const std::string& weights,
                                                bool reference_path = false) {
  absl::StatusOr<std::unique_ptr<Segmenter>> segmenter =
      CreateTorchSegmenter({.weights = weights, .reference_path = reference_path});
  EXPECT_TRUE(segmenter.ok()) << segmenter.status();
  return *std::move(segmenter);
}

// Noise with some structure, so that features differ from place to place.
inline Rgb8Image MakeImage(ImageSize size, uint32_t seed) {
  std::mt19937 engine(seed);
  Rgb8Image image{.size = size, .pixels = std::vector<uint8_t>(size.area() * 3)};
  const double phase = engine() % 100 / 10.0;
  size_t i = 0;
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = std::sin(x / (7.0 + c) + phase) * std::cos(y / (11.0 - c) - phase);
        image.pixels[i++] = static_cast<uint8_t>(110 + 90 * wave + engine() % 40);
      }
    }
  }
  return image;
}

inline std::shared_ptr<const Embedding> EncodeOne(Segmenter& segmenter, const Rgb8Image& image) {
  const Rgb8Image* images[] = {&image};
  auto results = segmenter.Encode(images);
  EXPECT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].ok()) << results[0].status();
  return *results[0];
}

inline Prompt Click(float x, float y) { return {.cx = x, .cy = y, .w = 0.005f, .h = 0.005f}; }

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_NET_SEGMENTER_FIXTURE_H_
