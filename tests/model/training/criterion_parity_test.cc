// Matching and losses against the published code (parity notes, sections 6 and 7).
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "model/training/criterion.h"
#include "model/weights/formula.h"
#include "tests/model/net/parity_fixture.h"

namespace semsam::testing {
namespace {

// The k-th call of torch.rand in the reference.
class FormulaUniform final : public UniformSource {
 public:
  at::Tensor Draw(at::IntArrayRef shape) override {
    at::Tensor values = at::empty(shape, at::kFloat);
    FillFormula(Fnv1a64(absl::StrCat("rand.", calls_++)), 0.5f, 0.5f, 0,
                {values.mutable_data_ptr<float>(), static_cast<size_t>(values.numel())});
    return values;
  }

 private:
  int calls_ = 0;
};

const nlohmann::json& Expected() {
  static const auto* expected = [] {
    std::ifstream file(SEMSAM_PARITY_DIR "/crit/criterion.json");
    return new nlohmann::json(nlohmann::json::parse(file));
  }();
  return *expected;
}

ImageTargets Targets(bool first_only) {
  ImageTargets targets = {.masks = ReadGolden("crit/gt_masks.npy"),
                          .boxes = ReadGolden("crit/gt_boxes_cxcywh.npy"),
                          .has_mask = at::ones({7}, at::kBool)};
  for (const nlohmann::json& indices : Expected()["level_target_inds"]) {
    PromptTarget prompt;
    for (const nlohmann::json& index : indices) prompt.targets.push_back(index.get<int64_t>());
    if (first_only) prompt.targets.resize(1);
    targets.prompts.push_back(std::move(prompt));
  }
  return targets;
}

// The four clicks through the network, every layer.
std::vector<LayerPredictions> Layers() {
  c10::InferenceMode inference;
  const SemanticSam& network = ParityNetwork('t', ops::Path::kNative);
  const EncodedImage image = EncodeParityImage(network, 'b');
  const DecoderOutput output =
      RunPrompts(network, image, ReadGolden("crit/points.npy"), {1, 1, 1, 1}, /*joint=*/false);
  std::vector<LayerPredictions> layers;
  for (size_t i = 0; i < output.layers.size(); ++i) {
    const at::Tensor& queries = output.layers[i].twice;
    layers.push_back({.masks = network.PredictMasks(queries, image.features).view({24, 56, 56}),
                      .boxes = network.decoder().PredictBoxes(queries, output.references[i]),
                      .ious = network.decoder().PredictIous(queries)});
  }
  return layers;
}

// Published key of each layer: 0 is the last, i + 1 the i-th.
void ExpectLosses(const std::vector<LossTerms>& layers, double pairs, const std::string& key) {
  const std::vector<std::pair<int, std::string>> names = {{0, "loss_mask_bce_"},
                                                          {1, "loss_mask_dice_"},
                                                          {2, "iou_score_loss_"},
                                                          {3, "loss_bbox_"},
                                                          {4, "loss_giou_"}};
  for (size_t i = 0; i < layers.size(); ++i) {
    const size_t number = i + 1 == layers.size() ? 0 : i + 1;
    for (const auto& [term, name] : names) {
      const double expected = Expected()[key][absl::StrCat(name, number)].get<double>();
      EXPECT_NEAR(layers[i].values[term].item<double>() / pairs, expected, 5e-5 * (1 + expected))
          << name << number;
    }
    EXPECT_EQ(layers[i].values[5].item<double>(), 0);
    EXPECT_EQ(layers[i].values[6].item<double>(), 0);
  }
}

TEST(CriterionParity, CostsAndPairsEqualThePublishedMatcher) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const ImageTargets targets = Targets(/*first_only=*/false);
  const LayerPredictions predictions = {.masks = ReadGolden("crit/pred_masks.npy"),
                                        .boxes = ReadGolden("crit/pred_boxes.npy")};
  FormulaUniform random;
  const CostParts parts = PairCosts(predictions, targets, random.Draw({1, 12544, 2}));
  const at::Tensor cost = parts.Total(MatcherOptions{});

  // Published: a column for every target of every click.
  std::vector<int64_t> column_target;
  at::Tensor other_click = at::ones({24, 11}, at::kBool);
  for (size_t click = 0; click < targets.prompts.size(); ++click) {
    for (const int64_t target : targets.prompts[click].targets) {
      const int64_t first = static_cast<int64_t>(click) * 6;
      other_click.slice(0, first, first + 6)
          .select(1, static_cast<int64_t>(column_target.size()))
          .fill_(false);
      column_target.push_back(target);
    }
  }
  const auto expect = [&](const at::Tensor& actual, const std::string& name, double tolerance) {
    const at::Tensor wide = actual.index_select(1, at::tensor(column_target));
    EXPECT_LE((wide - ReadGolden("crit/" + name)).abs().max().item<double>(), tolerance) << name;
  };
  expect(parts.mask_bce, "cost_mask_bce.npy", 1e-5);
  expect(parts.mask_dice, "cost_dice.npy", 1e-5);
  expect(parts.box_giou, "giou.npy", 1e-6);
  expect(parts.box_l1, "cost_bbox_l1.npy", 1e-6);
  const at::Tensor total =
      cost.index_select(1, at::tensor(column_target)).masked_fill(other_click, 1e6);
  EXPECT_LE((total - ReadGolden("crit/D.npy")).abs().max().item<double>(), 1e-4);

  const absl::StatusOr<Pairs> pairs = MatchPrompts(cost, targets.prompts);
  ASSERT_TRUE(pairs.ok()) << pairs.status();
  EXPECT_EQ(pairs->queries, Expected()["assignment_rows"].get<std::vector<int64_t>>());
  std::vector<int64_t> expected_targets;
  for (const nlohmann::json& column : Expected()["assignment_cols"]) {
    expected_targets.push_back(column_target[column.get<size_t>()]);
  }
  EXPECT_EQ(pairs->targets, expected_targets);
}

TEST(CriterionParity, ManyToManyLossesOfEveryLayerEqualThePublishedOnes) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const absl::StatusOr<Criterion> criterion = Criterion::Create({});
  ASSERT_TRUE(criterion.ok());
  FormulaUniform random;
  const auto losses = criterion->PromptLosses(Layers(), Targets(/*first_only=*/false), random);
  ASSERT_TRUE(losses.ok()) << losses.status();
  EXPECT_EQ(losses->pairs, 11);
  ExpectLosses(losses->layers, 11, "losses_raw");
  EXPECT_NEAR(criterion->Total({&*losses, 1}, 11).item<double>(),
              Expected()["total_weighted"].get<double>(), 5e-3);
}

TEST(CriterionParity, ManyToOneLossesOfEveryLayerEqualThePublishedOnes) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const absl::StatusOr<Criterion> criterion =
      Criterion::Create({.matching = PromptMatching::kManyToOne});
  ASSERT_TRUE(criterion.ok());
  FormulaUniform random;
  const auto losses = criterion->PromptLosses(Layers(), Targets(/*first_only=*/true), random);
  ASSERT_TRUE(losses.ok()) << losses.status();
  EXPECT_EQ(losses->pairs, 4);
  ExpectLosses(losses->layers, 4, "mo1_losses_raw");
  EXPECT_NEAR(criterion->Total({&*losses, 1}, 4).item<double>(),
              Expected()["mo1_total_weighted"].get<double>(), 5e-3);
}

}  // namespace
}  // namespace semsam::testing
