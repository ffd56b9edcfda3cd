#include "model/weights/weight_map.h"

#include <gtest/gtest.h>

#include <algorithm>
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
           name.find("lang_mapper") != std::string::npos;
  });
  EXPECT_TRUE(Resolve().ok()) << Resolve().status();
}

TEST_F(ResolveTest, WordsAreNeededWhereTheyAreClaimedAndDroppedElsewhere) {
  const auto dropped = ResolveWeights(SwinTinyWordless(), set_.tensors);
  ASSERT_TRUE(dropped.ok()) << dropped.status();
  EXPECT_EQ(dropped->Find("sem_seg_head.predictor.lang_encoder.lang_proj"), nullptr);
  EXPECT_EQ(dropped->Find("sem_seg_head.predictor.enc_output.weight"), nullptr);
  EXPECT_NE(dropped->Find("sem_seg_head.predictor.class_embed"), nullptr);
  Remove([](const std::string& name) {
    return name.find("class_embed") != std::string::npos ||
           name.find("lang_encoder.lang_proj") != std::string::npos ||
           name.find(".query_") != std::string::npos ||
           name.find("enc_output") != std::string::npos;
  });
  EXPECT_TRUE(ResolveWeights(SwinTinyWordless(), set_.tensors).ok());
  for (const char* part :
       {"predictor.class_embed,", "predictor.class_embed_part", "predictor.enc_output.weight",
        "predictor.query_feat.weight", "predictor.lang_encoder.lang_proj"}) {
    EXPECT_TRUE(Contains(Resolve().status(), part)) << part << "\n" << Resolve().status();
  }
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

TEST_F(ResolveTest, LeftoversAreDropped) {
  const std::vector<float> value = {1};
  set_.tensors.push_back(ViewOf("criterion.empty_weight", DType::kFloat32, {1}, value));
  set_.tensors.push_back(ViewOf("criterion_coco.empty_weight", DType::kFloat32, {1}, value));
  set_.tensors.push_back(ViewOf("pixel_mean", DType::kFloat32, {1}, value));
  const auto weights = Resolve();
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(weights->Find("criterion.empty_weight"), nullptr);
  EXPECT_EQ(weights->Find("criterion_coco.empty_weight"), nullptr);
  EXPECT_EQ(weights->Find("pixel_mean"), nullptr);
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
  for (const ModelConfig& config : {SwinT(), SwinL(), OpenSeedSwinT()}) {
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

TEST(InferConfig, FindsFiveLevelsAndLearnedQueries) {
  ModelConfig config = OpenSeedSwinT();
  config.name = "openseed-swin-custom";
  config.backbone = SwinL().backbone;
  config.pixel_decoder.feature_levels = 5;
  config.pixel_decoder.backbone_levels = 4;
  config.text->context = 77;
  config.vocabulary->learned_queries = 100;
  config.vocabulary->top_instances = 300;
  const auto inferred = InferConfig(ShapesOf(config));
  ASSERT_TRUE(inferred.ok()) << inferred.status();
  EXPECT_EQ(*inferred, config);
}

// A joint checkpoint: clicks, words and labels on one decoder.
ModelConfig Joint() {
  ModelConfig config = SwinT();
  config.name = "semantic-sam-swin-custom";
  config.text = TextConfig{};
  config.vocabulary = VocabularyConfig{};
  config.capabilities.object_labels = true;
  config.capabilities.part_labels = true;
  config.capabilities.vocabulary = true;
  return config;
}

TEST(InferConfig, WordsFollowFromWhatIsThere) {
  const auto infer = [](const std::vector<std::string>& without) {
    std::vector<TensorView> tensors = ShapesOf(Joint());
    std::erase_if(tensors, [&](const TensorView& tensor) {
      return std::any_of(without.begin(), without.end(), [&](const std::string& part) {
        return tensor.name.find(kPredictor + part) == 0;
      });
    });
    return InferConfig(tensors);
  };
  const auto whole = infer({});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(*whole, Joint());
  // Class heads and query selection alone know no words: a published SA-1B model.
  const auto textless = infer({"lang_encoder."});
  ASSERT_TRUE(textless.ok()) << textless.status();
  EXPECT_EQ(*textless, SwinT());
  const auto partless = infer({"class_embed_part"});
  ASSERT_TRUE(partless.ok()) << partless.status();
  EXPECT_TRUE(partless->capabilities.object_labels);
  EXPECT_FALSE(partless->capabilities.part_labels);
  const auto labels_alone = infer({"enc_output"});
  ASSERT_TRUE(labels_alone.ok()) << labels_alone.status();
  EXPECT_FALSE(labels_alone->vocabulary.has_value());
  EXPECT_FALSE(labels_alone->capabilities.vocabulary);
  EXPECT_TRUE(labels_alone->capabilities.object_labels);
  const auto promptless = infer({"mask_tokens"});
  ASSERT_TRUE(promptless.ok()) << promptless.status();
  EXPECT_FALSE(promptless->capabilities.click_prompts);
  EXPECT_FALSE(promptless->capabilities.box_prompts);
  EXPECT_FALSE(promptless->capabilities.object_labels);
  EXPECT_TRUE(promptless->capabilities.part_labels);
  EXPECT_TRUE(promptless->capabilities.vocabulary);

  EXPECT_TRUE(Contains(infer({"mask_tokens", "enc_output"}).status(), "neither"));
  EXPECT_TRUE(Contains(infer({"lang_encoder.lang_proj"}).status(), "lang_proj is missing"));
}

TEST(InferConfig, LearnedQueriesNeedSelectedOnes) {
  ModelConfig config = Joint();
  config.vocabulary->learned_queries = 7;
  const auto infer = [&](const std::string& without) {
    std::vector<TensorView> tensors = ShapesOf(config);
    std::erase_if(tensors, [&](const TensorView& tensor) {
      return tensor.name.find(kPredictor + without) == 0;
    });
    return InferConfig(tensors).status();
  };
  EXPECT_TRUE(infer("nothing").ok());
  EXPECT_TRUE(Contains(infer("enc_output"), "learned queries without enc_output"));
  EXPECT_TRUE(Contains(infer("query_embed"), "query_embed.weight is missing"));
  EXPECT_TRUE(Contains(infer("query_feat"), "query_feat.weight is missing"));
}

TEST(InferConfig, AdditionsShowInTheTensors) {
  ModelConfig config = Joint();
  config.decoder.additions = SemsamLite().decoder.additions;
  const auto whole = InferConfig(ShapesOf(config));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(*whole, config);
  config.decoder.additions.prompt_maps = {};
  config.decoder.additions.click_features = false;
  const auto pooled = InferConfig(ShapesOf(config));
  ASSERT_TRUE(pooled.ok()) << pooled.status();
  EXPECT_EQ(*pooled, config);
  // How wide maps are does not show; of others than our own they could be anything.
  config.decoder.additions.prompt_maps.sigmas = {0.1f};
  EXPECT_TRUE(Contains(InferConfig(ShapesOf(config)).status(), "prompt_map_head"));
}

TEST(InferConfig, NamesTheTensorThatIsMissingOrOdd) {
  const std::string cases[] = {
      "backbone.patch_embed.proj.weight",
      "backbone.layers.3.blocks.0.attn.relative_position_bias_table",
      "sem_seg_head.pixel_decoder.transformer.level_embed",
      "sem_seg_head.pixel_decoder.input_proj.1.0.weight",
      std::string(kPredictor) + "lang_encoder.lang_encoder.positional_embedding",
      std::string(kPredictor) + "lang_encoder.lang_proj",
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
