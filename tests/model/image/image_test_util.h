// Pictures, masks and logits for the tests of model/image.
#ifndef SEMSAM_TESTS_MODEL_IMAGE_IMAGE_TEST_UTIL_H_
#define SEMSAM_TESTS_MODEL_IMAGE_IMAGE_TEST_UTIL_H_

#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>
#include <string>
#include <vector>

#include "model/base/types.h"

namespace semsam::testing {

// The same picture for the same arguments: a colour gradient with noise.
inline Rgb8Image MakeImage(ImageSize size, uint32_t seed = 1) {
  std::mt19937 random(seed);
  Rgb8Image image;
  image.size = size;
  image.pixels.reserve(static_cast<size_t>(size.area()) * 3);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (const int value : {5 * x, 7 * y, 3 * (x + y)}) {
        image.pixels.push_back(static_cast<uint8_t>(value + random() % 32));
      }
    }
  }
  return image;
}

inline std::vector<uint8_t> Encode(const Rgb8Image& image, const std::string& extension,
                                   const std::vector<int>& options = {}) {
  const cv::Mat rgb(image.size.height, image.size.width, CV_8UC3,
                    const_cast<uint8_t*>(image.pixels.data()));
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<uint8_t> bytes;
  cv::imencode(extension, bgr, bytes, options);
  return bytes;
}

// Independent pixels, `density` of them set.
inline BinaryMask RandomMask(ImageSize size, double density, uint32_t seed) {
  std::mt19937 random(seed);
  std::bernoulli_distribution pixel(density);
  BinaryMask mask{.size = size};
  for (int64_t i = 0; i < size.area(); ++i) mask.pixels.push_back(pixel(random));
  return mask;
}

// A mask drawn as rows of '.' and '#'.
inline BinaryMask MaskFromRows(const std::vector<std::string>& rows) {
  BinaryMask mask;
  mask.size = {static_cast<int>(rows.size()), static_cast<int>(rows[0].size())};
  for (const std::string& row : rows) {
    for (const char c : row) mask.pixels.push_back(c == '#');
  }
  return mask;
}

inline std::vector<std::string> RowsOf(const BinaryMask& mask) {
  std::vector<std::string> rows(mask.size.height);
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    rows[i / mask.size.width].push_back(mask.pixels[i] ? '#' : '.');
  }
  return rows;
}

// Logits of a few soft blobs, as a network gives them: mostly flat, both signs.
inline std::vector<float> BlobLogits(ImageSize grid, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> unit(0.0f, 1.0f);
  std::vector<float> logits(static_cast<size_t>(grid.area()), -8.0f);
  for (int blob = 0; blob < 4; ++blob) {
    const float cy = unit(random) * grid.height, cx = unit(random) * grid.width;
    const float radius = 2.0f + unit(random) * grid.width / 4;
    for (int y = 0; y < grid.height; ++y) {
      for (int x = 0; x < grid.width; ++x) {
        const float d2 = (y - cy) * (y - cy) + (x - cx) * (x - cx);
        logits[static_cast<size_t>(y) * grid.width + x] +=
            16.0f * std::exp(-d2 / (radius * radius)) + 0.2f * (unit(random) - 0.5f);
      }
    }
  }
  return logits;
}

// Logits without any structure.
inline std::vector<float> NoiseLogits(ImageSize grid, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 2.0f);
  std::vector<float> logits(static_cast<size_t>(grid.area()));
  for (float& logit : logits) logit = normal(random);
  return logits;
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_IMAGE_IMAGE_TEST_UTIL_H_
