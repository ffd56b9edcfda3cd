// Outputs of the whole network against the published code, on both paths.
#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "model/image/mask_tail.h"
#include "tests/model/net/parity_fixture.h"

namespace semsam::testing {
namespace {

struct PromptCase {
  std::string name;
  std::vector<float> boxes;  // cx, cy, w, h each
  std::vector<int64_t> rows;
};

const std::vector<PromptCase>& Cases() {
  static const auto* cases = new std::vector<PromptCase>{
      {"click0", {.2f, .3f, .005f, .005f}, {0}},
      {"click1", {.5f, .5f, .005f, .005f}, {0}},
      {"click2", {.75f, .4f, .005f, .005f}, {0}},
      {"click3", {.3f, .8f, .005f, .005f}, {0}},
      {"click_corner", {0, 1, .005f, .005f}, {0}},
      {"click1_pb1", {.5f, .5f, .005f, .005f}, {1}},
      {"box_pb0", {.4f, .5f, .3f, .4f}, {0}},
      {"box_pb1", {.4f, .5f, .3f, .4f}, {1}},
      {"together4",
       {.2f, .3f, .005f, .005f, .5f, .5f, .005f, .005f, .75f, .4f, .005f, .005f, .3f, .8f, .005f,
        .005f},
       {0, 0, 0, 0}},
      {"mixed3", {.75f, .4f, .005f, .005f, .4f, .5f, .3f, .4f, .2f, .3f, .005f, .005f}, {1, 0, 1}},
  };
  return *cases;
}

at::Tensor Boxes(const std::vector<float>& values) { return at::tensor(values).view({-1, 4}); }

using Param = std::tuple<char, char, ops::Path>;  // variant, image, path

class Parity : public ::testing::TestWithParam<Param> {};

std::string ParamName(const ::testing::TestParamInfo<Param>& info) {
  const auto& [variant, image, path] = info.param;
  return absl::StrCat("swin_", std::string(1, variant), "_", std::string(1, image), "_",
                      path == ops::Path::kNative ? "native" : "reference");
}

void ExpectFeatures(const SemanticSam& network, const EncodedImage& image,
                    const std::string& prefix) {
  const auto nchw = [](const at::Tensor& x) { return x.permute({0, 3, 1, 2}); };
  for (int i = 0; i < 4; ++i) {
    ExpectGolden(nchw(image.backbone[i]), "net/", absl::StrCat(prefix, "res", i + 2, ".npy"),
                 kFeatureTolerance);
    ExpectGolden(nchw(image.pixel.multi_scale[i]), "net/", absl::StrCat(prefix, "ms", i, ".npy"),
                 kFeatureTolerance);
  }
  ExpectGolden(nchw(network.pixel_decoder().mask_projection()(image.pixel.mask_map)), "net/",
               prefix + "mask_features.npy", kFeatureTolerance);
}

void ExpectPrompt(const SemanticSam& network, const EncodedImage& image, const PromptCase& prompt,
                  const std::string& prefix) {
  const DecoderOutput output = RunPrompts(network, image, Boxes(prompt.boxes), prompt.rows,
                                          /*joint=*/prompt.rows.size() > 1);
  const auto expect = [&](const at::Tensor& actual, const char* what, double tolerance) {
    ExpectGolden(actual, "net/", absl::StrCat(prefix, prompt.name, "_", what, ".npy"), tolerance);
  };
  const Decoder& decoder = network.decoder();
  expect(network.PredictMasks(output.queries, image.features), "pred_masks", kMaskTolerance);
  expect(decoder.PredictIous(output.queries), "pred_ious", kIouTolerance);
  expect(decoder.PredictBoxes(output.queries, output.last_reference), "pred_boxes", kBoxTolerance);
  expect(at::stack(output.references), "refs", kBoxTolerance);
  expect(output.raw, "hs_raw", kFeatureTolerance);
  expect(output.queries, "hs_final", kFeatureTolerance);
  std::vector<at::Tensor> ious, boxes;
  for (size_t i = 0; i < output.layers.size(); ++i) {
    ious.push_back(decoder.PredictIous(output.layers[i].twice));
    boxes.push_back(decoder.PredictBoxes(output.layers[i].twice, output.references[i]));
  }
  expect(at::stack(ious), "ious_all", kIouTolerance);
  expect(at::stack(boxes), "boxes_all", kBoxTolerance);
}

TEST_P(Parity, FeaturesAndPromptsEqualThePublishedCode) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  c10::InferenceMode inference;
  const auto [variant, name, path] = GetParam();
  const SemanticSam& network = ParityNetwork(variant, path);
  const EncodedImage image = EncodeParityImage(network, name);
  const std::string prefix =
      absl::StrCat("swin_", std::string(1, variant), "_", std::string(1, name), "_");
  ExpectFeatures(network, image, prefix);
  for (const PromptCase& prompt : Cases()) {
    // Of Swin-L only this prompt was recorded.
    if (variant == 'l' && prompt.name != "click0") continue;
    ExpectPrompt(network, image, prompt, prefix);
  }
}

// evaluate_demo: clicks 0 and 1 in one joint call, chosen tokens, masks upsampled
// and cropped to the image.
TEST_P(Parity, ChosenLevelsAndUpsampledLogitsEqualThePublishedCode) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  c10::InferenceMode inference;
  const auto [variant, name, path] = GetParam();
  if (variant == 'l') GTEST_SKIP() << "not recorded for Swin-L";
  const SemanticSam& network = ParityNetwork(variant, path);
  const EncodedImage image = EncodeParityImage(network, name);
  const std::string prefix = absl::StrCat("swin_t_", std::string(1, name), "_");
  const auto upsampled = [&](const at::Tensor& queries) {
    const at::Tensor logits = network.PredictMasks(queries, image.features).contiguous();
    std::vector<at::Tensor> masks;
    for (int64_t i = 0; i < logits.size(0); ++i) {
      const LogitsView view = {image.features.grid,
                               logits.const_data_ptr<float>() + i * logits.size(1)};
      masks.push_back(at::tensor(UpsampleLogits(view, image.geometry)));
    }
    return at::stack(masks);
  };
  const DecoderOutput output = RunPrompts(
      network, image, Boxes({.2f, .3f, .005f, .005f, .5f, .5f, .005f, .005f}), {0, 0}, true);
  for (const std::vector<int64_t>& tokens :
       {std::vector<int64_t>{0, 2, 5}, std::vector<int64_t>{3, 2, 0, 4, 1, 5}}) {
    const int64_t width = output.queries.size(1);
    const at::Tensor chosen =
        output.queries.view({2, 6, width}).index_select(1, at::tensor(tokens)).reshape({-1, width});
    std::string digits;
    for (int64_t token : tokens) absl::StrAppend(&digits, token);
    const std::string stem = absl::StrCat(prefix, "levels", digits);
    ExpectGolden(network.decoder().PredictIous(chosen), "net/", stem + "_ious.npy", kIouTolerance);
    ExpectGolden(upsampled(chosen), "net/", stem + "_masks.npy", kMaskTolerance);
  }
  const std::map<char, std::vector<int64_t>> recorded = {{'a', {2}}, {'b', {0}}, {'c', {0, 3}}};
  const DecoderOutput click =
      RunPrompts(network, image, Boxes({.5f, .5f, .005f, .005f}), {0}, false);
  std::string digits;
  for (int64_t token : recorded.at(name)) absl::StrAppend(&digits, token);
  ExpectGolden(upsampled(click.queries.index_select(0, at::tensor(recorded.at(name)))), "net/",
               absl::StrCat(prefix, "click1_up_lv", digits, ".npy"), kMaskTolerance);
}

INSTANTIATE_TEST_SUITE_P(Networks, Parity,
                         ::testing::Values(Param('t', 'a', ops::Path::kNative),
                                           Param('t', 'b', ops::Path::kNative),
                                           Param('t', 'c', ops::Path::kNative),
                                           Param('l', 'b', ops::Path::kNative),
                                           Param('t', 'a', ops::Path::kReference),
                                           Param('t', 'b', ops::Path::kReference),
                                           Param('t', 'c', ops::Path::kReference),
                                           Param('l', 'b', ops::Path::kReference)),
                         ParamName);

// The four training clicks (point row 1, isolated) and the clicks of the
// interactive evaluation (row 0) on image b.
TEST(ParityCriterion, TrainingAndEvaluationClicksEqualThePublishedCode) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  c10::InferenceMode inference;
  const SemanticSam& network = ParityNetwork('t', ops::Path::kNative);
  const EncodedImage image = EncodeParityImage(network, 'b');
  const auto expect = [](const at::Tensor& actual, const std::string& name, double tolerance) {
    const at::Tensor golden = ReadGolden("crit/" + name).reshape({-1});
    ASSERT_EQ(actual.numel(), golden.numel()) << name;
    EXPECT_LE((actual.reshape({-1}) - golden).abs().max().item<double>(), tolerance) << name;
  };
  const Decoder& decoder = network.decoder();
  const DecoderOutput training =
      RunPrompts(network, image, ReadGolden("crit/points.npy"), {1, 1, 1, 1}, /*joint=*/false);
  expect(network.PredictMasks(training.queries, image.features), "pred_masks.npy", kMaskTolerance);
  expect(decoder.PredictIous(training.queries), "pred_ious.npy", kIouTolerance);
  expect(decoder.PredictBoxes(training.queries, training.last_reference), "pred_boxes.npy",
         kBoxTolerance);

  const DecoderOutput evaluation = RunPrompts(network, image, ReadGolden("crit/eval_points.npy"),
                                              std::vector<int64_t>(7, 0), /*joint=*/false);
  expect(decoder.PredictIous(evaluation.queries), "eval_pred_ious.npy", kIouTolerance);

  // IoU of the surest and of the best mask with each segment.
  const at::Tensor logits = network.PredictMasks(evaluation.queries, image.features).contiguous();
  const at::Tensor segments = ReadGolden("crit/gt_masks.npy").to(at::kBool);
  const at::Tensor ious = decoder.PredictIous(evaluation.queries).view({7, 6});
  std::ifstream file(SEMSAM_PARITY_DIR "/crit/eval_interactive.json");
  const nlohmann::json expected = nlohmann::json::parse(file);
  for (int64_t i = 0; i < 7; ++i) {
    std::vector<double> overlap;
    for (int64_t token = 0; token < 6; ++token) {
      const LogitsView view = {image.features.grid,
                               logits.const_data_ptr<float>() + (i * 6 + token) * logits.size(1)};
      const at::Tensor mask = at::tensor(UpsampleLogits(view, image.geometry)).view({224, 224}) > 0;
      overlap.push_back(mask.logical_and(segments[i]).sum().item<double>() /
                        mask.logical_or(segments[i]).sum().item<double>());
    }
    const int64_t surest = ious[i].argmax().item<int64_t>();
    EXPECT_NEAR(overlap[surest], expected["iou_max"][i].get<double>(), 1e-3) << i;
    EXPECT_NEAR(*std::max_element(overlap.begin(), overlap.end()),
                expected["iou_oracle"][i].get<double>(), 1e-3)
        << i;
  }
}

}  // namespace
}  // namespace semsam::testing
