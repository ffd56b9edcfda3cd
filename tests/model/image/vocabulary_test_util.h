// Made-up generic queries for the tests of vocabulary inference.
#ifndef SEMSAM_TESTS_MODEL_IMAGE_VOCABULARY_TEST_UTIL_H_
#define SEMSAM_TESTS_MODEL_IMAGE_VOCABULARY_TEST_UTIL_H_

#include <cmath>
#include <random>
#include <vector>

#include "model/image/upsample.h"
#include "model/image/vocabulary_inference.h"
#include "tests/model/image/image_test_util.h"

namespace semsam::testing {

// What a VocabularyQueries looks at.
struct QueryData {
  ImageGeometry geometry;
  ImageSize grid;
  int queries = 0;
  int classes = 0;
  std::vector<float> class_logits;
  std::vector<float> mask_logits;
  std::vector<CenterBox> boxes;

  VocabularyQueries view() const {
    return {geometry, grid, queries, classes, class_logits, mask_logits, boxes};
  }
};

inline float SigmoidOf(float x) { return 1.0f / (1.0f + std::exp(-x)); }

// Blobs on an image of size `network`, padded to whole 32nds.
inline QueryData RandomQueries(ImageSize network, int queries, int classes, uint32_t seed) {
  QueryData data{.queries = queries, .classes = classes};
  const auto padded = [](int length) { return (length + 31) / 32 * 32; };
  data.geometry = {network, network, {padded(network.height), padded(network.width)}};
  data.grid = {data.geometry.padded.height / 4, data.geometry.padded.width / 4};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(-1.0f, 2.0f);
  for (int i = 0; i < queries * classes; ++i) data.class_logits.push_back(normal(random));
  std::uniform_real_distribution<float> unit(0.1f, 0.9f);
  for (int q = 0; q < queries; ++q) {
    const std::vector<float> logits = BlobLogits(data.grid, static_cast<uint32_t>(random()));
    data.mask_logits.insert(data.mask_logits.end(), logits.begin(), logits.end());
    data.boxes.push_back({unit(random), unit(random), unit(random), unit(random)});
  }
  return data;
}

// All logits at `output`, [Q, H, W], whole maps at once.
inline std::vector<float> UpsampleAll(const QueryData& data, ImageSize output) {
  const ImageSize network = data.geometry.network;
  const BicubicAxis x_axis(network.width, output.width);
  const BicubicAxis y_axis(network.height, output.height);
  std::vector<float> all;
  for (int q = 0; q < data.queries; ++q) {
    BilinearRows rows({data.grid, data.mask_logits.data() + q * data.grid.area()},
                      data.geometry.padded, network.width);
    std::vector<float> wide;  // [network height, output width]
    for (int y = 0; y < network.height; ++y) {
      std::vector<float> row(rows.Row(y).begin(), rows.Row(y).end());
      if (network == output) {
        all.insert(all.end(), row.begin(), row.end());
        continue;
      }
      row.resize(row.size() + BicubicAxis::kOverread);
      wide.resize(wide.size() + output.width);
      ResizeRow(row.data(), x_axis, 0, output.width, wide.data() + wide.size() - output.width);
    }
    for (int y = 0; y < output.height && network != output; ++y) {
      for (int x = 0; x < output.width; ++x) {
        float sum = 0;
        for (int t = 0; t < y_axis.count[y]; ++t) {
          sum += y_axis.weights[y * y_axis.taps + t] *
                 wide[(y_axis.first[y] + t) * static_cast<size_t>(output.width) + x];
        }
        all.push_back(sum);
      }
    }
  }
  return all;
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_IMAGE_VOCABULARY_TEST_UTIL_H_
