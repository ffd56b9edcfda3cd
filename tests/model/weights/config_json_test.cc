#include "model/weights/config_json.h"

#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "model/base/errors.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

TEST(ConfigJson, EveryConfigurationComesBackEqual) {
  ModelConfig odd = SwinTiny();
  odd.name = "ein \"Modell\" ü";
  odd.level_to_token = {2, 0};
  odd.pixel_mean = {0.1f, 1.0f / 3, 3.4e-5f};
  odd.click_size = 0.3f;
  odd.capabilities = {.box_prompts = false, .object_labels = true, .vocabulary = true};
  for (const ModelConfig& config : {SwinT(), SwinL(), SwinTJoint(), OpenSeedSwinT(), SwinTiny(),
                                    SwinTinyWordless(), SwinTinyExtended(), SemsamLite(), odd}) {
    const auto read = ConfigFromJson(ConfigToJson(config));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, config) << ConfigToJson(config);
  }
}

TEST(ConfigJson, FloatsAreShort) {
  EXPECT_NE(ConfigToJson(SwinT()).find("\"click_size\":0.005,"), std::string::npos)
      << ConfigToJson(SwinT());
}

TEST(ConfigJson, ErrorsNameTheField) {
  const std::string good = ConfigToJson(SwinT());
  const struct {
    const char* from;
    const char* to;
    const char* field;
  } cases[] = {
      {"\"embed_dim\":96,", "", "backbone.embed_dim"},
      {"\"embed_dim\":96", "\"embed_dim\":\"96\"", "backbone.embed_dim"},
      {"\"embed_dim\":96", "\"embed_dim\":-96", "backbone.embed_dim"},
      {"\"embed_dim\":96", "\"embed_dim\":96.5", "backbone.embed_dim"},
      {"\"embed_dim\":96", "\"embed_dim\":1000000", "backbone.embed_dim"},
      {"\"embed_dim\":96", "\"embed_dim\":18446744073709551615", "backbone.embed_dim"},
      {"\"embed_dim\":96", "\"embed_dim\":0", "backbone.embed_dim"},
      {"[2,2,6,2]", "[2,2,6]", "backbone.depths"},
      {"[2,2,6,2]", "[2,2,1000000000,2]", "backbone.depths"},
      {"[2,2,6,2]", "7", "backbone.depths"},
      {"\"type\":\"swin\"", "\"type\":\"vit\"", "backbone.type"},
      {"\"layers\":9", "\"layers\":257", "decoder.layers"},
      {"\"layers\":9", "\"layers\":9,\"depth\":9", "decoder.depth"},
      {"\"box_prompts\":true", "\"box_prompts\":1", "capabilities.box_prompts"},
      {"\"click_size\":0.005", "\"click_size\":null", "click_size"},
      {"\"click_size\":0.005", "\"click_size\":1e99", "click_size"},
      {"\"click_size\":0.005", "\"click_size\":2.0", "click_size"},
      {"[3,2,0,4,1,5]", "[3,2,0,4,1,6]", "level_to_token"},
      {"\"name\":\"semantic-sam-swin-t\"", "\"name\":\"\"", "name"},
      {"\"name\"", "\"nome\"", "name"},
  };
  for (const auto& test : cases) {
    const std::string bad = absl::StrReplaceAll(good, {{test.from, test.to}});
    ASSERT_NE(bad, good) << test.from;
    const auto config = ConfigFromJson(bad);
    EXPECT_EQ(ErrorField(config.status()), test.field) << config.status() << "\n" << bad;
  }
}

// Files of before do without the field, and stay what they are.
TEST(ConfigJson, AdditionsStandWhereThereAreSome) {
  EXPECT_EQ(ConfigToJson(SwinT()).find("additions"), std::string::npos);
  const std::string good = ConfigToJson(SwinTinyExtended());
  const struct {
    const char* from;
    const char* to;
    const char* field;
  } cases[] = {
      {"\"additions\":{", "\"additions\":{\"more\":1,", "decoder.additions.more"},
      {"\"click_features\":true,", "", "decoder.additions.click_features"},
      {"\"ramps\":[0.1,0.4]", "\"ramps\":0.1", "decoder.additions.prompt_maps.ramps"},
      {"\"ramps\":[0.1,0.4]", "\"ramps\":[\"x\"]", "decoder.additions.prompt_maps.ramps"},
      {"\"sigmas\":[0.05,0.2]", "\"sigmas\":[0.05,-1]", "decoder.additions.prompt_maps.sigmas"},
  };
  for (const auto& test : cases) {
    const std::string bad = absl::StrReplaceAll(good, {{test.from, test.to}});
    ASSERT_NE(bad, good) << test.from;
    EXPECT_EQ(ErrorField(ConfigFromJson(bad).status()), test.field) << bad;
  }
}

TEST(ConfigJson, BrokenTextIsAnError) {
  for (const std::string& text : {std::string(), std::string("[]"), std::string("{"),
                                  std::string(65'537, '['), std::string("{\"name\":\"\xff\"}")}) {
    EXPECT_EQ(ConfigFromJson(text).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(CheckConfig, BoundsWhatValidateLeavesOpen) {
  EXPECT_TRUE(CheckConfig(SwinL()).ok());
  ModelConfig config = SwinT();
  config.decoder.layers = 1 << 20;
  EXPECT_TRUE(Validate(config).ok());
  EXPECT_EQ(ErrorField(CheckConfig(config)), "decoder.layers");
}

}  // namespace
}  // namespace semsam
