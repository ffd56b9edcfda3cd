#include "model/weights/import_efficientnet_lite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/weights/safetensors.h"
#include "model/weights/weight_table.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

// A small network in the port's names: Lite0 with an eighth of the channels, a block a
// stage, two in the third.
class ImportTest : public testing::Test {
 protected:
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };

  ImportTest() {
    config_ = {
        .stem_width = 16, .widths = {8, 16, 24, 32, 40, 48, 56}, .depths = {1, 1, 2, 1, 1, 1, 1}};
    AddLayer("_conv_stem", "_bn0", {16, 3, 3, 3});
    int block = 0;
    int64_t width = 16;
    for (size_t s = 0; s < 7; ++s) {
      for (int b = 0; b < config_.depths[s]; ++b) {
        const std::string name = absl::StrCat("_blocks.", block++, ".");
        const int64_t hidden = s == 0 ? width : 6 * width;
        const int64_t kernel = kEfficientNetLiteStages[s].kernel;
        if (s > 0) AddLayer(name + "_expand_conv", name + "_bn0", {hidden, width, 1, 1});
        AddLayer(name + "_depthwise_conv", name + "_bn1", {hidden, 1, kernel, kernel});
        width = config_.widths[s];
        AddLayer(name + "_project_conv", name + "_bn2", {width, hidden, 1, 1});
      }
    }
    AddLayer("_conv_head", "_bn1", {64, 56, 1, 1});
    Add("_fc.weight", {10, 64});
  }

  void Add(const std::string& name, std::vector<int64_t> shape, float least = -1) {
    int64_t elements = 1;
    for (const int64_t size : shape) elements *= size;
    std::vector<float> values;
    for (int64_t i = 0; i < elements; ++i) {
      values.push_back(least + 1 + std::sin(static_cast<float>(++seed_)));
    }
    tensors_[name] = {std::move(shape), std::move(values)};
  }

  void AddLayer(const std::string& convolution, const std::string& norm,
                const std::vector<int64_t>& shape) {
    Add(convolution + ".weight", shape);
    for (const char* part : {".weight", ".bias", ".running_mean"}) Add(norm + part, {shape[0]});
    Add(norm + ".running_var", {shape[0]}, /*least=*/0);
  }

  absl::StatusOr<ImportedBackbone> Import() {
    std::vector<TensorView> views;
    for (const auto& [name, tensor] : tensors_) {
      views.push_back(ViewOf(name, DType::kFloat32, tensor.shape, tensor.values));
    }
    const absl::Status written = WriteSafetensors(path_, views, {});
    if (!written.ok()) return written;
    return ImportEfficientNetLite(path_);
  }

  TempDir folder_;
  const std::string path_ = folder_.File("net.safetensors");
  EfficientNetLiteConfig config_;
  std::map<std::string, Tensor> tensors_;
  int seed_ = 0;
};

TEST_F(ImportTest, GivesWhatTheWeightTableAsksFor) {
  const auto imported = Import();
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->config, config_);
  ModelConfig model = SwinT();
  model.backbone = config_;
  size_t expected = 0;
  for (const WeightSpec& spec : WeightTable(model)) {
    if (!spec.name.starts_with("backbone.")) continue;
    ++expected;
    const TensorView* tensor = imported->weights.Find(spec.name);
    ASSERT_NE(tensor, nullptr) << spec.name;
    EXPECT_EQ(tensor->shape, spec.shape) << spec.name;
  }
  EXPECT_EQ(imported->weights.size(), expected);
}

TEST_F(ImportTest, FoldsEachNormIntoItsConvolution) {
  const auto imported = Import();
  ASSERT_TRUE(imported.ok()) << imported.status();
  // The second block of the third stage is the fourth of the file.
  const struct {
    const char* ours;
    const char* convolution;
    const char* norm;
  } layers[] = {
      {"backbone.stem", "_conv_stem", "_bn0"},
      {"backbone.stages.2.blocks.1.expand", "_blocks.3._expand_conv", "_blocks.3._bn0"},
      {"backbone.stages.2.blocks.1.depthwise", "_blocks.3._depthwise_conv", "_blocks.3._bn1"},
      {"backbone.stages.6.blocks.0.project", "_blocks.7._project_conv", "_blocks.7._bn2"},
  };
  for (const auto& layer : layers) {
    const std::vector<float> weight =
        Floats(*imported->weights.Find(std::string(layer.ours) + ".weight"));
    const std::vector<float> bias =
        Floats(*imported->weights.Find(std::string(layer.ours) + ".bias"));
    const auto stored = [&](const char* name, const char* part) {
      return tensors_.at(std::string(name) + part).values;
    };
    const size_t taps = weight.size() / bias.size();
    for (size_t c = 0; c < bias.size(); ++c) {
      const double scale = stored(layer.norm, ".weight")[c] /
                           std::sqrt(stored(layer.norm, ".running_var")[c] + 1e-3);
      EXPECT_FLOAT_EQ(
          bias[c], stored(layer.norm, ".bias")[c] - stored(layer.norm, ".running_mean")[c] * scale);
      EXPECT_FLOAT_EQ(weight[c * taps], stored(layer.convolution, ".weight")[c * taps] * scale);
      EXPECT_FLOAT_EQ(weight[c * taps + taps - 1],
                      stored(layer.convolution, ".weight")[c * taps + taps - 1] * scale);
    }
  }
}

TEST_F(ImportTest, ErrorsNameTheFileAndTheTensor) {
  const auto kept = tensors_;
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"_conv_stem.weight is missing", [&] { tensors_.erase("_conv_stem.weight"); }},
      {"_blocks.3._bn1.running_var is missing",
       [&] { tensors_.erase("_blocks.3._bn1.running_var"); }},
      {"_blocks.1._bn0.bias is float32 [3], not [48]", [&] { Add("_blocks.1._bn0.bias", {3}); }},
      {"_blocks.2._depthwise_conv.weight is float32 [96,1,3,3], not [96,1,5,5]",
       [&] {
         Add("_blocks.2._depthwise_conv.weight", {96, 1, 3, 3});
       }},
      {"_blocks.5._bn2 has no finite scale",
       [&] { tensors_["_blocks.5._bn2.running_var"].values[2] = -1; }},
      {"must have seven entries", [&] { tensors_.erase("_blocks.7._project_conv.weight"); }},
      {"_blocks.4._project_conv.weight has the shape [32]",
       [&] { Add("_blocks.4._project_conv.weight", {32}); }},
  };
  for (const auto& [message, spoil] : cases) {
    tensors_ = kept;
    spoil();
    const absl::Status status = Import().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_TRUE(Contains(status, message)) << status;
    EXPECT_TRUE(Contains(status, path_)) << status;
  }
}

TEST_F(ImportTest, OtherFilesAreErrors) {
  EXPECT_EQ(ImportEfficientNetLite(folder_.File("none.pth")).status().code(),
            absl::StatusCode::kNotFound);
  WriteText(path_, "no network at all");
  const absl::Status status = ImportEfficientNetLite(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Contains(status, path_)) << status;
}

TEST(ImportEfficientNetLite, ReadsThePublishedLite2) {
  if (!std::filesystem::exists(SEMSAM_IMAGENET_WEIGHTS)) {
    GTEST_SKIP() << "no " << SEMSAM_IMAGENET_WEIGHTS << "; run deploy/setup.sh --training";
  }
  const auto imported = ImportEfficientNetLite(SEMSAM_IMAGENET_WEIGHTS);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->config, EfficientNetLiteOf(EfficientNetLiteSize::kLite2));
  EXPECT_EQ(imported->weights.parameters(), 4'330'184);
}

}  // namespace
}  // namespace semsam
