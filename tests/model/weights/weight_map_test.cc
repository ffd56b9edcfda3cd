#include "model/weights/weight_map.h"

#include <gtest/gtest.h>

#include <functional>

#include "model/weights/formula.h"
#include "model/weights/infer_config.h"
#include "model/weights/weight_table.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

constexpr char kPredictor[] = "sem_seg_head.predictor.";

class ResolveTest : public testing::Test {
 protected:
  ResolveTest() : set_(*FormulaTensors(WeightTable(SwinTiny()))) {}

  TensorView* Find(const std::string& name) {
    for (TensorView& tensor : set_.tensors) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }

  void Remove(const std::function<bool(const std::string&)>& match) {
    std::erase_if(set_.tensors, [&](const TensorView& tensor) { return match(tensor.name); });
  }

  absl::StatusOr<WeightMap> Resolve() { return ResolveWeights(SwinTiny(), set_.tensors); }

  TensorSet set_;
};

TEST_F(ResolveTest, AWholeModelGivesItsCanonicalTensors) {
  const auto weights = Resolve();
  ASSERT_TRUE(weights.ok()) << weights.status();
  size_t expected = 0;
  int64_t parameters = 0;
  for (const WeightSpec& spec : WeightTable(SwinTiny())) {
    const bool kept = !spec.is_alias() && spec.kind != kComputedKind;
    const TensorView* tensor = weights->Find(spec.name);
    ASSERT_EQ(tensor != nullptr, kept) << spec.name;
    if (!kept) continue;
    ++expected;
    parameters += Elements(*tensor);
    EXPECT_EQ(tensor->shape, spec.shape);
    EXPECT_EQ(tensor->name, spec.name);
  }
  EXPECT_EQ(weights->size(), expected);
  EXPECT_EQ(weights->parameters(), parameters);
  EXPECT_EQ(weights->size_bytes(), parameters * 4);
}

TEST_F(ResolveTest, OptionalTensorsMayBeAway) {
  Remove([](const std::string& name) {
    return name.find("relative_position_index") != std::string::npos ||
           name.find("class_embed") != std::string::npos ||
           name.find("lang_mapper") != std::string::npos;
  });
  EXPECT_TRUE(Resolve().ok()) << Resolve().status();
}

TEST_F(ResolveTest, AnyAliasStandsInForItsCanonicalName) {
  Remove([](const std::string& name) {
    const bool box = name.find("bbox_embed") != std::string::npos;
    return (box && name.find("predictor.bbox_embed.1.") == std::string::npos) ||
           name.find("decoder_norm") != std::string::npos;
  });
  const auto weights = Resolve();
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_NE(weights->Find("sem_seg_head.predictor._bbox_embed.layers.2.bias"), nullptr);
  EXPECT_NE(weights->Find("sem_seg_head.predictor.decoder_norm.weight"), nullptr);
}

TEST_F(ResolveTest, LeftoversAreDroppedAndTheTextEncoderIsCarried) {
  const std::vector<float> value = {1};
  const std::string scale = "sem_seg_head.predictor.lang_encoder.logit_scale";
  set_.tensors.push_back(ViewOf("criterion.empty_weight", DType::kFloat32, {1}, value));
  set_.tensors.push_back(ViewOf("pixel_mean", DType::kFloat32, {1}, value));
  set_.tensors.push_back(ViewOf(scale, DType::kFloat32, {}, value));
  const auto weights = Resolve();
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->Find("criterion.empty_weight"), nullptr);
  EXPECT_EQ(weights->Find("pixel_mean"), nullptr);
  EXPECT_NE(weights->Find(scale), nullptr);
}

TEST_F(ResolveTest, EverythingThatIsWrongStandsInOneError) {
  const std::vector<float> other_box(4, 9.0f);
  const std::vector<float> value = {1};
  const std::vector<int64_t> integers(16);
  Remove([](const std::string& name) { return name == "backbone.norm2.bias"; });
  Find("backbone.norm0.weight")->shape = {4, 4};
  Find("sem_seg_head.predictor.bbox_embed.1.layers.2.bias")->data =
      std::as_bytes(std::span(other_box));
  Find("backbone.norm0.bias")->dtype = DType::kInt32;
  set_.tensors.push_back(ViewOf("backbone.\x1b[31mextra", DType::kFloat32, {1}, value));
  set_.tensors.push_back(*Find("backbone.norm1.bias"));

  const auto weights = Resolve();
  ASSERT_EQ(weights.status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* part :
       {"do not fit semantic-sam-swin-tiny", "1 missing: backbone.norm2.bias;",
        "1 unknown: backbone.\\x1b[31mextra;",
        "1 of another shape: backbone.norm0.weight is [4,4], not [16];",
        "1 of another type: backbone.norm0.bias is int32;",
        "2 in conflict: backbone.norm1.bias (appears twice), "
        "sem_seg_head.predictor.bbox_embed.1.layers.2.bias and "
        "sem_seg_head.predictor._bbox_embed.layers.2.bias are one tensor with two values"}) {
    EXPECT_TRUE(Contains(weights.status(), part)) << part << "\n" << weights.status();
  }
}

TEST_F(ResolveTest, LongListsAreCutAndCounted) {
  set_.tensors.clear();
  const auto weights = Resolve();
  EXPECT_TRUE(Contains(weights.status(), " missing: ")) << weights.status();
  EXPECT_TRUE(Contains(weights.status(), " more")) << weights.status();
  EXPECT_LT(weights.status().message().size(), 2500u);
}

TEST_F(ResolveTest, AForeignRelativePositionIndexIsAConflict) {
  std::vector<int64_t> index = RelativePositionIndex(4);
  TensorView* tensor = Find("backbone.layers.0.blocks.0.attn.relative_position_index");
  tensor->data = std::as_bytes(std::span(index));
  EXPECT_TRUE(Resolve().ok());
  std::swap(index[0], index[1]);
  EXPECT_TRUE(Contains(Resolve().status(), "is not the index of its window size"));
}

TEST_F(ResolveTest, EqualAliasesOfAnotherTypeDoNotConflict) {
  const std::vector<uint16_t> halves(4, 0x3c00);
  const std::vector<float> ones(4, 1.0f);
  for (TensorView& tensor : set_.tensors) {
    if (tensor.name.find("bbox_embed") == std::string::npos ||
        tensor.name.find("layers.2.bias") == std::string::npos) {
      continue;
    }
    const bool narrow = tensor.name.find("decoder.") != std::string::npos;
    tensor.dtype = narrow ? DType::kFloat16 : DType::kFloat32;
    tensor.data = narrow ? std::as_bytes(std::span(halves)) : std::as_bytes(std::span(ones));
  }
  EXPECT_TRUE(Resolve().ok()) << Resolve().status();
}

// --- InferConfig ---

std::vector<TensorView> ShapesOf(const ModelConfig& config) {
  std::vector<TensorView> tensors;
  for (const WeightSpec& spec : WeightTable(config)) {
    tensors.push_back({.name = spec.name, .dtype = spec.dtype, .shape = spec.shape});
  }
  return tensors;
}

TEST(InferConfig, FindsThePublishedModels) {
  for (const ModelConfig& config : {SwinT(), SwinL()}) {
    const auto inferred = InferConfig(ShapesOf(config));
    ASSERT_TRUE(inferred.ok()) << inferred.status();
    EXPECT_EQ(*inferred, config);
  }
}

TEST(InferConfig, FindsOtherWidthsAndDepths) {
  ModelConfig config = SwinT();
  config.name = "semantic-sam-swin-custom";
  config.backbone = SwinConfig{.patch_size = 4,
                               .embed_dim = 48,
                               .depths = {1, 3, 2, 1},
                               .heads = {3, 3, 6, 12},
                               .window_size = 5,
                               .mlp_ratio = 2};
  config.pixel_decoder = {.hidden_dim = 112,
                          .feature_levels = 3,
                          .layers = 2,
                          .points = 3,
                          .ffn_dim = 96,
                          .norm_groups = 16,
                          .mask_dim = 64};
  config.decoder = {.layers = 3, .points = 2, .ffn_dim = 80, .tokens = 3, .text_dim = 32};
  config.level_to_token = {0, 1, 2};
  const auto inferred = InferConfig(ShapesOf(config));
  ASSERT_TRUE(inferred.ok()) << inferred.status();
  EXPECT_EQ(*inferred, config);
}

TEST(InferConfig, NamesTheTensorThatIsMissingOrOdd) {
  const std::string cases[] = {
      "backbone.patch_embed.proj.weight",
      "backbone.layers.3.blocks.0.attn.relative_position_bias_table",
      "sem_seg_head.pixel_decoder.transformer.level_embed",
      std::string(kPredictor) + "mask_tokens.weight",
      std::string(kPredictor) + "decoder.layers.0.cross_attn.sampling_offsets.weight",
  };
  for (const std::string& name : cases) {
    std::vector<TensorView> tensors = ShapesOf(SwinTiny());
    std::erase_if(tensors, [&](const TensorView& tensor) { return tensor.name == name; });
    EXPECT_TRUE(Contains(InferConfig(tensors).status(), name + " is missing"));
    tensors.push_back({.name = name, .shape = std::vector<int64_t>(4, int64_t{1} << 40)});
    EXPECT_TRUE(Contains(InferConfig(tensors).status(), name + " has the shape"))
        << InferConfig(tensors).status();
    tensors.back().shape = {};
    EXPECT_FALSE(InferConfig(tensors).ok());
  }
  EXPECT_FALSE(InferConfig({}).ok());
}

TEST(InferConfig, ImpossibleSizesAreErrors) {
  for (const int64_t size : {0, 1, 3, 1 << 19}) {
    for (TensorView& tensor : ShapesOf(SwinTiny())) {
      if (tensor.shape.empty()) continue;
      std::vector<TensorView> tensors = ShapesOf(SwinTiny());
      for (TensorView& changed : tensors) {
        if (changed.name == tensor.name) changed.shape[0] = size;
      }
      const auto config = InferConfig(tensors);  // whatever it says, it says it in time
      EXPECT_TRUE(!config.ok() || Validate(*config).ok());
    }
  }
}

}  // namespace
}  // namespace semsam
