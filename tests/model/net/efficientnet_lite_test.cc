#include "model/net/efficientnet_lite.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/net/load_model.h"
#include "model/weights/formula.h"
#include "model/weights/import_efficientnet_lite.h"
#include "model/weights/mapped_file.h"
#include "model/weights/model_file.h"
#include "model/weights/pth_reader.h"
#include "model/weights/weight_table.h"

namespace semsam {
namespace {

using Features = std::array<at::Tensor, 4>;

// Every kind of block, few channels, two of them more than a panel of the kernels.
EfficientNetLiteConfig Small() {
  return {.stem_width = 16, .widths = {8, 16, 24, 24, 40, 40, 48}, .depths = {1, 2, 2, 1, 2, 2, 1}};
}

std::map<std::string, at::Tensor> FormulaWeights(const EfficientNetLiteConfig& config) {
  ModelConfig model = SwinTiny();
  model.backbone = config;
  std::vector<WeightSpec> table = WeightTable(model);
  std::erase_if(table, [](const WeightSpec& spec) { return !spec.name.starts_with("backbone."); });
  absl::StatusOr<TensorSet> set = FormulaTensors(table);
  EXPECT_TRUE(set.ok()) << set.status();
  WeightMap::Tensors views;
  for (const TensorView& view : set->tensors) views[view.name] = view;
  return *CopyWeights(WeightMap(std::move(views)), at::kCPU);
}

Features FeaturesOf(const EfficientNetLiteConfig& config,
                    const std::map<std::string, at::Tensor>& weights, ops::Path path,
                    const at::Tensor& image) {
  return CreateBackbone(config, TensorMap(weights), path)->Forward(image);
}

// The largest, relative to the largest value of `b`.
double Difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

TEST(EfficientNetLite, GivesFourMapsAsABackboneDoes) {
  const Features features =
      FeaturesOf(Small(), FormulaWeights(Small()), ops::Path::kNative, at::randn({2, 3, 64, 96}));
  const std::array<int, 4> channels = BackboneChannels(Small());
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(features[i].sizes(), (std::vector<int64_t>{2, 16 >> i, 24 >> i, channels[i]}));
    EXPECT_TRUE(features[i].is_contiguous());
    // The formula's signal reaches the end.
    EXPECT_GT(features[i].std().item<float>(), 0.1f) << i;
  }
}

TEST(EfficientNetLite, KernelsEqualTheReference) {
  at::manual_seed(1);
  const auto weights = FormulaWeights(Small());
  // The last ones are no multiples of the strides, and of strips and whole maps both.
  for (const auto& [batch, height, width] :
       {std::array<int64_t, 3>{1, 64, 64}, {2, 32, 160}, {1, 77, 51}, {1, 418, 642}}) {
    const at::Tensor image = at::randn({batch, 3, height, width});
    const Features native = FeaturesOf(Small(), weights, ops::Path::kNative, image);
    const Features reference = FeaturesOf(Small(), weights, ops::Path::kReference, image);
    for (int i = 0; i < 4; ++i) {
      EXPECT_LT(Difference(native[i], reference[i]), 1e-5) << height << "x" << width << " " << i;
    }
  }
}

TEST(EfficientNetLite, NeitherThreadsNorTheBatchChangeABit) {
  at::manual_seed(2);
  const auto weights = FormulaWeights(Small());
  const at::Tensor images = at::randn({2, 3, 320, 416});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const Features alone = FeaturesOf(Small(), weights, ops::Path::kNative, images.slice(0, 1));
  at::set_num_threads(3);
  const Features together = FeaturesOf(Small(), weights, ops::Path::kNative, images);
  at::set_num_threads(threads);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(alone[i][0], together[i][1])) << i;
}

// The backbone in its place: a model file, a whole network, an encode.
TEST(EfficientNetLite, ServesAModelFromItsFile) {
  ModelConfig config = SwinTiny();
  config.name = "tiny-convolutional";
  config.backbone = Small();
  absl::StatusOr<TensorSet> set = FormulaTensors(WeightTable(config));
  ASSERT_TRUE(set.ok()) << set.status();
  const absl::StatusOr<WeightMap> weights = ResolveWeights(config, std::move(set->tensors));
  ASSERT_TRUE(weights.ok()) << weights.status();
  const std::string path =
      std::filesystem::temp_directory_path() / absl::StrCat("semsam-backbone-", getpid());
  const absl::Status written = WriteModel(path, config, *weights, {}, DType::kFloat16);
  ASSERT_TRUE(written.ok()) << written;
  const auto native = LoadModel(path, at::kCPU, ops::Path::kNative);
  const auto reference = LoadModel(path, at::kCPU, ops::Path::kReference);
  std::filesystem::remove(path);
  ASSERT_TRUE(native.ok()) << native.status();
  ASSERT_TRUE(reference.ok()) << reference.status();
  EXPECT_EQ(native->network->config(), config);
  at::manual_seed(6);
  const at::Tensor image = at::randn({1, 3, 96, 64});
  const at::Tensor ours = native->network->Encode(image)[0].memory.memory;
  const at::Tensor expected = reference->network->Encode(image)[0].memory.memory;
  EXPECT_LT(Difference(ours, expected), 1e-4);
}

double Mix(const Features& features) {
  double sum = 0;
  for (const at::Tensor& feature : features) sum += feature.sin().sum().item<double>();
  return sum;
}

TEST(EfficientNetLite, TrainingReachesEverythingButDepthwiseKernels) {
  at::manual_seed(3);
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : FormulaWeights(Small())) {
    weights[name] = tensor.to(at::kDouble).requires_grad_(true);
  }
  const at::Tensor image = at::randn({2, 3, 64, 32}, at::kDouble);
  const auto forward = [&] { return FeaturesOf(Small(), weights, ops::Path::kTraining, image); };
  at::Tensor loss = at::zeros({}, at::kDouble);
  for (const at::Tensor& feature : forward()) loss = loss + feature.sin().sum();
  loss.backward();
  for (const auto& [name, weight] : weights) {
    const bool frozen = name.find(".depthwise.") != std::string::npos;
    ASSERT_EQ(weight.grad().defined(), !frozen) << name;
    if (frozen) continue;
    EXPECT_GT(weight.grad().abs().max().item<double>(), 0) << name;
  }

  const c10::NoGradGuard no_grad;
  // So small that hardly an activation passes a kink of ReLU6.
  constexpr double kStep = 1e-8;
  for (const char* name :
       {"backbone.stem.weight", "backbone.stages.0.blocks.0.project.weight",
        "backbone.stages.2.blocks.0.expand.weight", "backbone.stages.4.blocks.1.project.bias",
        "backbone.stages.6.blocks.0.expand.bias"}) {
    at::Tensor& weight = weights.at(name);
    const at::Tensor kept = weight.clone();
    const at::Tensor direction = at::randn_like(weight);
    weight.copy_(kept + direction * kStep);
    const double above = Mix(forward());
    weight.copy_(kept - direction * kStep);
    const double below = Mix(forward());
    weight.copy_(kept);
    const double expected = (weight.grad() * direction).sum().item<double>();
    EXPECT_NEAR((above - below) / (2 * kStep), expected, 1e-5 * (1 + std::abs(expected))) << name;
  }
}

// The network as published, on the weights as published: convolutions without a bias,
// BatchNorm with running statistics, TensorFlow's padding.
class Published {
 public:
  explicit Published(std::map<std::string, at::Tensor> tensors) : tensors_(std::move(tensors)) {}

  Features Forward(const at::Tensor& image) const {
    Features features;
    at::Tensor x = Layer(image, "_conv_stem", "_bn0", 2).clamp(0, 6);
    int block = 0;
    size_t feature = 0;
    for (size_t s = 0; s < 7; ++s) {
      for (int b = 0; b < EfficientNetLiteConfig{}.depths[s]; ++b) {
        x = Block(x, absl::StrCat("_blocks.", block++, "."),
                  b == 0 ? kEfficientNetLiteStages[s].stride : 1);
      }
      if (s == 1 || s == 2 || s == 4 || s == 6) features[feature++] = x.permute({0, 2, 3, 1});
    }
    return features;
  }

 private:
  at::Tensor Layer(const at::Tensor& x, const std::string& convolution, const std::string& norm,
                   int64_t stride) const {
    const at::Tensor& weight = tensors_.at(convolution + ".weight");
    const int64_t pad = weight.size(2) - stride;
    const at::Tensor padded =
        at::constant_pad_nd(x, {pad / 2, pad - pad / 2, pad / 2, pad - pad / 2});
    const at::Tensor y = at::conv2d(padded, weight, {}, stride, at::IntArrayRef({0, 0}),
                                    /*dilation=*/1, x.size(1) / weight.size(1));
    return at::batch_norm(y, tensors_.at(norm + ".weight"), tensors_.at(norm + ".bias"),
                          tensors_.at(norm + ".running_mean"), tensors_.at(norm + ".running_var"),
                          /*training=*/false, /*momentum=*/0.01, /*eps=*/1e-3,
                          /*cudnn_enabled=*/false);
  }

  at::Tensor Block(const at::Tensor& x, const std::string& name, int64_t stride) const {
    at::Tensor y = x;
    if (tensors_.contains(name + "_expand_conv.weight")) {
      y = Layer(y, name + "_expand_conv", name + "_bn0", 1).clamp(0, 6);
    }
    y = Layer(y, name + "_depthwise_conv", name + "_bn1", stride).clamp(0, 6);
    y = Layer(y, name + "_project_conv", name + "_bn2", 1);
    return y.sizes() == x.sizes() ? y + x : y;
  }

  std::map<std::string, at::Tensor> tensors_;
};

class ImageNet : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(SEMSAM_IMAGENET_WEIGHTS)) {
      GTEST_SKIP() << "no " << SEMSAM_IMAGENET_WEIGHTS << "; run deploy/setup.sh --training";
    }
    const auto imported = ImportEfficientNetLite(SEMSAM_IMAGENET_WEIGHTS);
    ASSERT_TRUE(imported.ok()) << imported.status();
    auto weights = CopyWeights(imported->weights, at::kCPU);
    ASSERT_TRUE(weights.ok()) << weights.status();
    weights_ = *std::move(weights);
  }

  Features Ours(ops::Path path, const at::Tensor& image) const {
    return FeaturesOf(EfficientNetLiteConfig{}, weights_, path, image);
  }

  std::map<std::string, at::Tensor> weights_;
};

TEST_F(ImageNet, FeaturesEqualThoseOfTheUnfoldedNetwork) {
  const auto file = MappedFile::Open(SEMSAM_IMAGENET_WEIGHTS);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tensors = ReadPth((*file)->bytes());
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  WeightMap::Tensors floats;
  for (const TensorView& tensor : *tensors) floats[tensor.name] = tensor;
  const auto stored = CopyWeights(WeightMap(std::move(floats)), at::kCPU);
  ASSERT_TRUE(stored.ok()) << stored.status();
  at::manual_seed(4);
  const at::Tensor image = at::randn({1, 3, 192, 256});
  const Features published = Published(*stored).Forward(image);
  for (const ops::Path path : {ops::Path::kNative, ops::Path::kReference, ops::Path::kTraining}) {
    const Features ours = Ours(path, image);
    for (int i = 0; i < 4; ++i) {
      EXPECT_LT((ours[i] - published[i]).abs().max().item<double>(), 1e-4) << i;
      EXPECT_LT(Difference(ours[i], published[i]), 1e-5) << i;
    }
  }
}

// What efficientnet-lite-pytorch 0.1.0 computed, told that images are 64 x 96: elements
// i * 7919 of each map, [B, H, W, C], and the mean of the absolute values.
TEST_F(ImageNet, FeaturesEqualThoseOfThePublishedPort) {
  const at::Tensor image = ((at::arange(3 * 64 * 96, at::kLong) * 37) % 257)
                               .to(at::kFloat)
                               .div(64)
                               .sub(2)
                               .view({1, 3, 64, 96});
  const struct {
    std::array<float, 6> values;
    float mean;
  } published[4] = {
      {{-11.0240793f, -24.3092403f, -25.1314812f, -21.1428127f, -14.9075804f, 11.1820154f},
       10.9771921f},
      {{12.1313248f, 9.94100952f, -4.03861094f, -2.80914974f, 8.28086185f, 13.2026463f},
       8.66894393f},
      {{-0.821729541f, -6.50088167f, -10.9078884f, -6.46903133f, -22.0991459f, 1.18950307f},
       4.45323734f},
      {{-2.869524f, -3.49876475f, 0.654122651f, 0.886348784f, -0.325238764f, -1.56250083f},
       1.64572755f}};
  for (const ops::Path path : {ops::Path::kNative, ops::Path::kReference}) {
    const Features ours = Ours(path, image);
    for (int i = 0; i < 4; ++i) {
      const at::Tensor flat = ours[i].flatten();
      for (int64_t j = 0; j < 6; ++j) {
        EXPECT_NEAR(flat[j * 7919 % flat.numel()].item<float>(), published[i].values[j], 1e-4)
            << i << ", " << j;
      }
      EXPECT_NEAR(flat.abs().mean().item<float>(), published[i].mean, 1e-4) << i;
    }
  }
}

}  // namespace
}  // namespace semsam
