#include "model/base/model_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "model/base/errors.h"

namespace semsam {
namespace {

TEST(ModelConfig, PublishedAndTestConfigurationsAreValid) {
  for (const ModelConfig& config : {SwinT(), SwinL(), OpenSeedSwinT(), SwinTiny(),
                                    SwinTinyWordless(), SwinTinyExtended(), SemsamLite()}) {
    EXPECT_TRUE(Validate(config).ok()) << config.name << ": " << Validate(config);
  }
}

TEST(ModelConfig, BackboneChannelsDoubleEachStage) {
  EXPECT_EQ(BackboneChannels(SwinT().backbone), (std::array<int, 4>{96, 192, 384, 768}));
  EXPECT_EQ(BackboneChannels(SwinL().backbone), (std::array<int, 4>{192, 384, 768, 1536}));
}

TEST(ModelConfig, PaddedSizeRoundsUpToTheDivisor) {
  EXPECT_EQ(PaddedSize(SwinT(), {200, 301}), (ImageSize{224, 320}));
  EXPECT_EQ(PaddedSize(SwinT(), {224, 224}), (ImageSize{224, 224}));
}

TEST(ModelConfig, ValidateNamesTheField) {
  struct Case {
    const char* field;
    std::function<void(ModelConfig&)> spoil;
  };
  const Case cases[] = {
      {"name", [](ModelConfig& c) { c.name.clear(); }},
      {"backbone.depths",
       [](ModelConfig& c) {
         std::get<SwinConfig>(c.backbone).depths = {2, 2};
       }},
      {"backbone.heads", [](ModelConfig& c) { std::get<SwinConfig>(c.backbone).heads[1] = 5; }},
      {"pixel_decoder.hidden_dim", [](ModelConfig& c) { c.pixel_decoder.hidden_dim = 250; }},
      {"pixel_decoder.feature_levels", [](ModelConfig& c) { c.pixel_decoder.feature_levels = 9; }},
      {"decoder.heads", [](ModelConfig& c) { c.decoder.heads = 7; }},
      {"decoder.additions.prompt_maps.sigmas",
       [](ModelConfig& c) {
         c.decoder.additions.prompt_maps.sigmas = {0.1f, 0};
       }},
      {"decoder.additions.prompt_maps.ramps",
       [](ModelConfig& c) { c.decoder.additions.prompt_maps.ramps = {NAN}; }},
      {"decoder.additions.prompt_maps.ramps",
       [](ModelConfig& c) {
         c.decoder.additions.prompt_maps.ramps = std::vector<float>(17, 0.1f);
       }},
      {"level_to_token",
       [](ModelConfig& c) {
         c.level_to_token = {0, 0};
       }},
      {"level_to_token", [](ModelConfig& c) { c.level_to_token = {6}; }},
      {"size_divisor", [](ModelConfig& c) { c.size_divisor = 16; }},
      {"short_edge_px", [](ModelConfig& c) { c.short_edge_px = 0; }},
      {"pixel_std", [](ModelConfig& c) { c.pixel_std[1] = 0; }},
      {"click_size", [](ModelConfig& c) { c.click_size = 0; }},
      {"click_point_or_box", [](ModelConfig& c) { c.click_point_or_box = 2; }},
  };
  for (const Case& test : cases) {
    ModelConfig config = SwinT();
    test.spoil(config);
    const absl::Status status = Validate(config);
    EXPECT_EQ(ErrorField(status), test.field) << status;
  }
}

TEST(ModelConfig, WhatIsAddedToPromptsNeedsPrompts) {
  ModelConfig config = OpenSeedSwinT();
  config.decoder.additions.pooled_features = true;
  EXPECT_TRUE(Validate(config).ok()) << Validate(config);
  config.decoder.additions.click_features = true;
  EXPECT_EQ(ErrorField(Validate(config)), "decoder.additions.click_features");
  config.decoder.additions.prompt_maps = LitePromptMaps();
  EXPECT_EQ(ErrorField(Validate(config)), "decoder.additions.prompt_maps");
}

}  // namespace
}  // namespace semsam
