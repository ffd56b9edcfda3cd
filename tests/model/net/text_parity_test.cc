// Text embeddings and class logits against the published code, on both paths and
// for both contexts.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "model/text/prefix_tree.h"
#include "model/text/tokenizer.h"
#include "tests/model/net/parity_fixture.h"

namespace semsam::testing {
namespace {

constexpr double kEmbeddingTolerance = 1e-6;
constexpr double kLogitTolerance = 1e-4;
// Inside the encoder values reach 10: parity notes, section 13, by the same share.
constexpr double kHiddenTolerance = 2e-5;

const LoadedModel& Model(int context, ops::Path path) {
  static auto* models = new std::map<std::pair<int, ops::Path>, LoadedModel>();
  const auto key = std::pair(context, path);
  if (!models->contains(key)) {
    const std::string folder = SEMSAM_PARITY_DIR "/manifests/";
    absl::StatusOr<LoadedModel> model = LoadModel(
        absl::StrCat(folder, "manifest_swin_t.tsv,", folder, "manifest_text_", context, ".tsv"),
        at::kCPU, path);
    EXPECT_TRUE(model.ok()) << model.status();
    models->emplace(key, *std::move(model));
  }
  return models->at(key);
}

const std::vector<std::string>& Names() {
  static const auto& names = *new std::vector<std::string>(
      nlohmann::json::parse(std::ifstream(SEMSAM_PARITY_DIR "/text/text_classes.json"))
          .get<std::vector<std::string>>());
  return names;
}

std::vector<std::string> FirstNames(size_t count) {
  return {Names().begin(), Names().begin() + static_cast<ptrdiff_t>(count)};
}

// [terms, text_dim]; kept, for the padded ensembles take long.
at::Tensor Embed(const LoadedModel& model, const std::vector<std::string>& terms, TextMode mode) {
  using Key = std::tuple<const LoadedModel*, std::vector<std::string>, TextMode>;
  static auto* known = new std::map<Key, at::Tensor>();
  const auto [entry, added] = known->emplace(Key(&model, terms, mode), at::Tensor());
  if (added) {
    const absl::StatusOr<std::vector<float>> rows = model.text->Embed(terms, mode);
    EXPECT_TRUE(rows.ok()) << rows.status();
    entry->second = at::tensor(*rows).view({static_cast<int64_t>(terms.size()), -1});
  }
  return entry->second;
}

// The first `count` rows of the ensemble of all names.
at::Tensor FirstEnsembles(const LoadedModel& model, int64_t count) {
  return Embed(model, Names(), TextMode::kEnsemble).slice(0, 0, count);
}

// `actual` may be the first rows alone.
void ExpectNear(const at::Tensor& actual, const std::string& golden, double tolerance) {
  const at::Tensor expected = ReadGolden("text/" + golden).slice(0, 0, actual.size(0));
  ASSERT_EQ(actual.sizes(), expected.sizes()) << golden;
  EXPECT_LE((actual - expected).abs().max().item<double>(), tolerance) << golden;
}

class TextParity : public ::testing::TestWithParam<ops::Path> {
 protected:
  void SetUp() override { SEMSAM_SKIP_WITHOUT_PARITY(); }
  c10::InferenceMode inference_;
};

TEST_P(TextParity, EmbeddingsOfContext18) {
  const LoadedModel& model = Model(18, GetParam());
  ExpectNear(Embed(model, Names(), TextMode::kPlain), "text18_emb_noprompt.npy",
             kEmbeddingTolerance);
  ExpectNear(Embed(model, Names(), TextMode::kEnsemble), "text18_emb_ensemble.npy",
             kEmbeddingTolerance);
}

TEST_P(TextParity, EmbeddingsOfContext77) {
  const LoadedModel& model = Model(77, GetParam());
  ExpectNear(Embed(model, Names(), TextMode::kPlain), "text77_emb_noprompt.npy",
             kEmbeddingTolerance);
  // The padded batch of 81 phrases of 77 tokens is slow: one name is enough of it.
  const size_t count = GetParam() == ops::Path::kNative ? 6 : 1;
  ExpectNear(Embed(model, FirstNames(count), TextMode::kEnsemble), "text77_emb_ensemble.npy",
             kEmbeddingTolerance);
}

// The published rows for a background and for the mean over all names are those of
// texts that a caller can ask for.
TEST_P(TextParity, BackgroundRowAndMeanOfAllNames) {
  const LoadedModel& model = Model(18, GetParam());
  const at::Tensor background = Embed(model, {"A background in coco."}, TextMode::kPlain);
  ExpectNear(at::cat({FirstEnsembles(model, 3), background}), "text18_emb_ensemble3_bgd.npy",
             kEmbeddingTolerance);
  const at::Tensor names = Embed(model, Names(), TextMode::kPlain);
  const std::vector<float> mean =
      MeanDirection({names.const_data_ptr<float>(), static_cast<size_t>(names.numel())}, 512);
  ExpectNear(at::tensor(mean).view({1, -1}), "text18_emb_eval_noprompt_mean.npy",
             kEmbeddingTolerance);
}

std::vector<std::vector<int32_t>> Tokens(const LoadedModel& model,
                                         const std::vector<std::string>& texts) {
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& text : texts) {
    ids.push_back(*model.text->tokenizer().Encode(text, model.text->encoder().context()));
  }
  return ids;
}

TEST_P(TextParity, UnnormalisedEmbeddings) {
  const LoadedModel& model = Model(18, GetParam());
  ExpectNear(model.text->encoder().Forward(Tokens(model, Names())), "text18_emb_unnormalised.npy",
             kHiddenTolerance);
}

// Every value of every position that counts: on the reference path all positions,
// on the native path what the tree holds.
TEST_P(TextParity, LayersInside) {
  const LoadedModel& model = Model(18, GetParam());
  const std::vector<std::vector<int32_t>> ids = Tokens(model, FirstNames(4));
  std::map<std::string, at::Tensor> outputs;
  model.text->encoder().Forward(
      ids, [&](const std::string& name, at::Tensor& output) { outputs[name] = output.clone(); });
  const std::pair<const char*, const char*> goldens[] = {
      {"text_layer0", "text18_layer0_first4.npy"},
      {"text_layer11", "text18_layer11_first4.npy"},
      {"text_last_hidden", "text18_last_hidden_first4.npy"}};
  for (const auto& [name, golden] : goldens) {
    if (GetParam() == ops::Path::kReference) {
      ExpectNear(outputs.at(name), golden, kHiddenTolerance);
      continue;
    }
    PrefixTree tree;
    for (const std::vector<int32_t>& sequence : ids) tree.Add(sequence);
    const at::Tensor expected = ReadGolden(absl::StrCat("text/", golden));
    const bool ends_alone = std::string(name) != "text_layer0";
    for (size_t i = 0; i < ids.size(); ++i) {
      int64_t position = static_cast<int64_t>(ids[i].size()) - 1;
      for (int32_t node = tree.ends()[i]; node >= 0; node = tree.parents()[node], --position) {
        const at::Tensor row = outputs.at(name)[ends_alone ? static_cast<int64_t>(i) : node];
        EXPECT_LE((row - expected[i][position]).abs().max().item<double>(), kHiddenTolerance)
            << name << " text " << i << " position " << position;
        if (ends_alone) break;
      }
    }
  }
}

TEST_P(TextParity, ClassLogitsOfAClick) {
  const LoadedModel& model = Model(18, GetParam());
  // The image and the click are the other tests' matter: one network serves both paths.
  const SemanticSam& network = *Model(18, ops::Path::kNative).network;
  const EncodedImage image = EncodeParityImage(network, 'b');
  const DecoderOutput output =
      RunPrompts(network, image, at::tensor({.5f, .5f, .005f, .005f}).view({1, 4}), {0},
                 /*joint=*/false);
  const ClassHeads& heads = model.network->class_heads();
  ExpectNear(
      heads.Logits(LabelHead::kObject, output.queries, Embed(model, Names(), TextMode::kPlain)),
      "text18_logits_whole.npy", kLogitTolerance);
  ExpectNear(heads.Logits(LabelHead::kPart, output.queries, FirstEnsembles(model, 12)),
             "text18_logits_part.npy", kLogitTolerance);
}

INSTANTIATE_TEST_SUITE_P(Paths, TextParity,
                         ::testing::Values(ops::Path::kNative, ops::Path::kReference),
                         [](const auto& info) {
                           return info.param == ops::Path::kNative ? "native" : "reference";
                         });

}  // namespace
}  // namespace semsam::testing
