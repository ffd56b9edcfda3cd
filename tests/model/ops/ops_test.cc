// The native path of every operator against LibTorch's operators.
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "model/ops/boxes.h"
#include "model/ops/deformable_attention.h"
#include "model/ops/layer_norm.h"
#include "model/ops/linear.h"
#include "model/ops/prompt_attention.h"
#include "model/ops/window_attention.h"

namespace semsam::ops {
namespace {

double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>();
}

class Ops : public ::testing::Test {
 protected:
  void SetUp() override { at::manual_seed(7); }
};

TEST_F(Ops, LinearOnBothPathsAgrees) {
  const at::Tensor weight = at::randn({70, 48});
  const at::Tensor bias = at::randn({70});
  const at::Tensor x = at::randn({2, 9, 48});
  const Linear native(weight, bias, Path::kNative);
  const Linear reference(weight, bias, Path::kReference);
  EXPECT_LT(MaxDifference(native(x), reference(x)), 1e-5);
  EXPECT_LT(MaxDifference(native.Relu(x), reference.Relu(x)), 1e-5);
}

TEST_F(Ops, HeadProjectionOfSummedRowsEqualsProjectingFirst) {
  for (int64_t heads : {4, 8}) {
    const at::Tensor weight = at::randn({64, 64});
    const at::Tensor bias = at::randn({64});
    const at::Tensor rows = at::randn({5, heads, 3, 64});  // three rows to sum a head
    const at::Tensor share = at::rand({5, heads, 3});
    const at::Tensor projected =
        at::linear(rows, weight, bias).view({5, heads, 3, heads, 64 / heads});
    std::vector<at::Tensor> expected;
    for (int64_t h = 0; h < heads; ++h) {
      expected.push_back(
          (projected.select(1, h).select(2, h) * share.select(1, h).unsqueeze(-1)).sum(1));
    }
    const HeadProjection projection(weight, bias, heads);
    const at::Tensor actual =
        projection((rows * share.unsqueeze(-1)).sum(2).contiguous(), share.sum(-1).contiguous());
    EXPECT_LT(MaxDifference(actual, at::cat(expected, -1)), 5e-5);
  }
}

TEST_F(Ops, AddLayerNormOnBothPathsAgrees) {
  const LayerNorm norm = {.weight = at::randn({100}), .bias = at::randn({100})};
  const at::Tensor x = at::randn({4, 33, 100});
  const at::Tensor residual = at::randn({4, 33, 100});
  EXPECT_LT(MaxDifference(AddLayerNorm(norm, x, residual, Path::kNative),
                          AddLayerNorm(norm, x, residual, Path::kReference)),
            1e-5);
  EXPECT_LT(MaxDifference(AddLayerNorm(norm, x, {}, Path::kNative),
                          AddLayerNorm(norm, x, {}, Path::kReference)),
            1e-5);
}

// window, shift, height, width, heads
class Windows : public ::testing::TestWithParam<std::tuple<int, int, int, int, int>> {};

TEST_P(Windows, AttentionOnBothPathsAgrees) {
  at::manual_seed(11);
  const auto [window, shift, height, width, heads] = GetParam();
  const int64_t channels = heads * 32;
  const at::Tensor table = at::randn({(2 * window - 1) * (2 * window - 1), heads});
  const at::Tensor qkv_bias = at::randn({3 * channels});
  const WindowAttentionWeights weights =
      PrepareWindowAttention(qkv_bias, table, window, heads, Path::kNative);
  const at::Tensor qkv = at::randn({2, height, width, 3 * channels});
  EXPECT_LT(MaxDifference(WindowAttention(weights, qkv, shift, Path::kNative),
                          WindowAttention(weights, qkv, shift, Path::kReference)),
            2e-5);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Windows,
                         ::testing::Values(std::tuple(7, 0, 14, 21, 3),   // whole windows
                                           std::tuple(7, 3, 14, 21, 3),   // shifted
                                           std::tuple(7, 3, 16, 20, 2),   // padded and shifted
                                           std::tuple(7, 0, 10, 5, 1),    // map below a window
                                           std::tuple(7, 3, 7, 7, 1),     // one shifted window
                                           std::tuple(12, 6, 25, 13, 2),  // window of Swin-L
                                           std::tuple(4, 2, 9, 10, 1)));

TEST_F(Ops, DeformableAttentionOnBothPathsAgrees) {
  const SamplingShape shape = {.heads = 8, .points = 4};
  const std::vector<ImageSize> levels = {{9, 13}, {5, 7}, {3, 4}, {2, 2}};
  int64_t tokens = 0;
  for (const ImageSize& level : levels) tokens += level.area();
  const at::Tensor values = at::randn({2, tokens, 256});
  // Offsets of several pixels: many samples leave the map.
  const at::Tensor projections = at::randn({2, tokens, 8 * 16 * 3}) * 3;
  const at::Tensor references = at::rand({tokens, 2});
  EXPECT_LT(
      MaxDifference(
          DeformableAttention(shape, values, levels, projections, references, Path::kNative),
          DeformableAttention(shape, values, levels, projections, references, Path::kReference)),
      5e-5);
}

// Three images of different sizes and some queries on them.
struct BoxQueries {
  SamplingShape shape = {.heads = 8, .points = 4};
  std::vector<PyramidMemory> images = std::vector<PyramidMemory>(3);
  at::Tensor weight;
  at::Tensor bias;
  std::vector<int> image_of_query = {0, 0, 2, 1, 1, 1, 2, 0};
  at::Tensor projections = at::randn({8, 8 * 16 * 3}) * 4;
  at::Tensor references = at::rand({8, 4});

  explicit BoxQueries(int64_t channels = 256)
      : weight(at::randn({channels, channels}) * 0.1), bias(at::randn({channels})) {
    for (int i = 0; i < 3; ++i) {
      int64_t tokens = 0;
      for (int l = 1; l <= 4; ++l) {
        images[i].levels.push_back({l * 2 + i, l * 3});
        tokens += images[i].levels.back().area();
      }
      images[i].memory = at::randn({tokens, channels});
    }
  }

  at::Tensor Run(Path path) const {
    return BoxDeformableAttention(shape, PrepareValueProjection(weight, bias, shape, path), images,
                                  image_of_query, projections, references, path);
  }
  void Project(size_t image) {
    images[image].values = Linear(weight, bias, Path::kReference)(images[image].memory);
  }
};

TEST_F(Ops, BoxDeformableAttentionOverSeveralImagesAgreesWithProjectingFirst) {
  BoxQueries queries;
  EXPECT_LT(MaxDifference(queries.Run(Path::kNative), queries.Run(Path::kReference)), 5e-5);
}

TEST_F(Ops, BoxDeformableAttentionOverProjectedValuesAgreesWithRawMemory) {
  for (const int64_t channels : {256, 64}) {  // 64: heads narrower than the kernel reads
    BoxQueries queries(channels);
    const at::Tensor raw = queries.Run(Path::kReference);
    for (size_t image : {1, 0, 2}) {  // a mixed call, then projected ones alone
      queries.Project(image);
      EXPECT_LT(MaxDifference(queries.Run(Path::kNative), raw), 5e-5);
      EXPECT_LT(MaxDifference(queries.Run(Path::kReference), raw), 5e-5);
    }
  }
}

TEST_F(Ops, BoxDeformableAttentionOfAQueryDoesNotDependOnTheOthers) {
  BoxQueries queries;
  queries.Project(1);
  const at::Tensor together = queries.Run(Path::kNative);
  for (int64_t q = 0; q < 8; ++q) {
    BoxQueries alone = queries;
    alone.image_of_query = {queries.image_of_query[q]};
    alone.projections = queries.projections.slice(0, q, q + 1);
    alone.references = queries.references.slice(0, q, q + 1);
    EXPECT_TRUE(at::equal(alone.Run(Path::kNative)[0], together[q])) << q;
  }
}

TEST_F(Ops, ValuesOfAnotherLayoutThanTheirMemoryAreRefused) {
  BoxQueries queries;
  queries.images[0].values = at::zeros({3, 256});
  EXPECT_THROW(queries.Run(Path::kNative), c10::Error);
}

TEST_F(Ops, SineBoxesOnBothPathsAgrees) {
  const at::Tensor boxes = at::cat({at::rand({50, 4}), at::zeros({1, 4}), at::ones({1, 4})});
  const at::Tensor periods = at::pow(10000.0, at::arange(0, 64) / 64.0);
  EXPECT_LT(MaxDifference(SineBoxes(boxes, periods, Path::kNative),
                          SineBoxes(boxes, periods, Path::kReference)),
            1e-6);
}

TEST_F(Ops, RefineBoxesOnBothPathsAgreesAtTheBorderToo) {
  const at::Tensor boxes = at::cat({at::rand({50, 4}), at::zeros({1, 4}), at::ones({1, 4})});
  const at::Tensor deltas = at::randn({52, 4});
  EXPECT_LT(MaxDifference(RefineBoxes(deltas, boxes, Path::kNative),
                          RefineBoxes(deltas, boxes, Path::kReference)),
            1e-6);
  EXPECT_LT(MaxDifference(RefineBoxes({}, boxes, Path::kNative),
                          RefineBoxes({}, boxes, Path::kReference)),
            1e-6);
}

TEST_F(Ops, BoxesOfARowDoNotDependOnItsPlace) {
  const at::Tensor periods = at::pow(10000.0, at::arange(0, 64) / 64.0);
  const at::Tensor boxes = at::rand({37, 4});
  const at::Tensor deltas = at::randn({37, 4});
  for (int64_t i = 0; i < 37; ++i) {
    const at::Tensor one = boxes.slice(0, i, i + 1);
    EXPECT_TRUE(at::equal(SineBoxes(boxes, periods, Path::kNative)[i],
                          SineBoxes(one, periods, Path::kNative)[0]));
    EXPECT_TRUE(at::equal(RefineBoxes(deltas, boxes, Path::kNative)[i],
                          RefineBoxes(deltas.slice(0, i, i + 1), one, Path::kNative)[0]));
  }
}

TEST_F(Ops, GroupAttentionOnBothPathsAgrees) {
  for (int64_t tokens : {6, 24, 90}) {  // the last is more than the kernel takes
    const at::Tensor qk = at::randn({3, tokens, 512});
    const at::Tensor v = at::randn({3, tokens, 256});
    EXPECT_LT(MaxDifference(GroupAttention(qk, v, 8, Path::kNative),
                            GroupAttention(qk, v, 8, Path::kReference)),
              1e-5)
        << tokens;
  }
}

}  // namespace
}  // namespace semsam::ops
