// Generic queries against the published OpenSeeD code, on both paths.
#include <limits>

#include "tests/model/net/vocabulary_parity_fixture.h"

namespace semsam::testing {

// Tolerances of the parity/vocab notes, section 10.
constexpr double kScoreTolerance = 1.5e-4;
constexpr double kProposalTolerance = 1e-5;
constexpr double kTokenTolerance = 5e-5;
constexpr double kFirstBoxTolerance = 2e-6;
constexpr double kFirstMaskTolerance = 3e-4;
constexpr double kReferenceTolerance = 2e-5;
constexpr double kRawTolerance = 3e-4;
constexpr double kLogitTolerance = 5e-4;
constexpr double kFinalMaskTolerance = 1.3e-3;

constexpr char kPlain[] = "manifest_vocab_swin_t.tsv";
constexpr char kDecoupled[] = "manifest_vocab_swin_t.tsv,manifest_vocab_swin_t_decouple_diff.tsv";
constexpr char kFiveLevels[] =
    "manifest_vocab_swin_t.tsv,manifest_vocab_swin_t_decouple_5level_diff.tsv";
constexpr char kText18[] = "vocab_text_emb.npy";
constexpr char kText77[] = "dec_text_emb.npy";
// Neighbours share a model.
constexpr GoldenRun kRuns[] = {
    {"vocab_b", kPlain, kText18, "b_224x224", 300},
    {"vocab_c", kPlain, kText18, "c_200x301", 300},
    {"vocab_d", kPlain, kText18, "d_192x256", 300},
    {"vocab_e", kPlain, kText18, "e_96x448", 300},
    {"vocab40_b", kPlain, kText18, "b_224x224", 40},
    {"vocab40_d", kPlain, kText18, "d_192x256", 40},
    {"dec_b", kDecoupled, kText77, "b_224x224", 300},
    {"dec_c", kDecoupled, kText77, "c_200x301", 300},
    {"lv5_b", kFiveLevels, kText18, "b_224x224", 300},
};

void VocabularyParity::ExpectSelection() const {
  const TokenProposals& proposals = tensors_.proposals;
  const SelectedQueries& selected = tensors_.selected;
  Expect(selected.scores, "enc_class_max", kScoreTolerance);
  const at::Tensor chosen = rows_.slice(0, 0, selected.tokens.numel());
  Expect(selected.scores.index_select(0, selected.tokens).index_select(0, chosen), "topk_score",
         kScoreTolerance);
  const at::Tensor rows = Golden("enc_rows").to(at::kLong);
  const auto some = [&](const at::Tensor& all) { return all.index_select(0, rows); };
  const at::Tensor features = some(proposals.features);
  Expect(some(proposals.memory), "enc_memory_rows", kTokenTolerance);
  Expect(features, "enc_outmem_rows", kTokenTolerance);
  Expect(some(proposals.boxes), "enc_prop_rows", kProposalTolerance);
  Expect(network_->decoder().BoxDeltas(features) + some(proposals.boxes), "enc_coord_rows",
         kProposalTolerance);
  const at::Tensor invalid = some(proposals.valid).logical_not().unsqueeze(-1);
  Expect(network_->class_heads()
             .Logits(LabelHead::kObject, features, text_)
             .masked_fill(invalid, -std::numeric_limits<double>::infinity()),
         "enc_class_rows", kScoreTolerance);
  EXPECT_EQ(proposals.valid.numel() - proposals.valid.sum().item<int64_t>(),
            Results()[run_.name]["network"]["invalid_tokens"].get<int64_t>());
}

// What the heads make of the queries before the decoder ran.
void VocabularyParity::ExpectFirstPrediction() const {
  const at::Tensor normed = network_->decoder().Norm(tensors_.selected.content);
  ExpectRows(network_->class_heads().Logits(LabelHead::kObject, normed, text_), "interm_logits",
             kScoreTolerance);
  ExpectRows(tensors_.selected.references, "interm_boxes", kFirstBoxTolerance);
  ExpectRows(network_->PredictMasks(normed, features_), "interm_masks", kFirstMaskTolerance);
}

void VocabularyParity::ExpectLayers() const {
  const Decoder& decoder = network_->decoder();
  const ClassHeads& heads = network_->class_heads();
  const DecoderOutput& output = tensors_.output;
  std::vector<at::Tensor> references, logits, boxes;
  for (const at::Tensor& reference : output.references) references.push_back(Aligned(reference));
  const at::Tensor first = decoder.Norm(tensors_.selected.content);
  logits.push_back(Aligned(heads.Logits(LabelHead::kObject, first, text_)));
  boxes.push_back(references[0]);
  for (size_t i = 0; i + 1 < output.layers.size(); ++i) {
    const NormedQueries& layer = output.layers[i];
    logits.push_back(Aligned(heads.Logits(LabelHead::kObject, layer.twice, text_)));
    boxes.push_back(Aligned(decoder.PredictBoxes(layer.once, output.references[i])));
  }
  Expect(at::stack(references), "refs", kReferenceTolerance);
  Expect(at::stack(logits), "aux_logits", kLogitTolerance);
  Expect(at::stack(boxes), "aux_boxes", kReferenceTolerance);
  ExpectRows(output.raw, "hs_raw", kRawTolerance);
}

void VocabularyParity::ExpectResult() const {
  ExpectRows(tensors_.object_logits, "pred_logits", kLogitTolerance);
  ExpectRows(tensors_.boxes, "pred_boxes", kReferenceTolerance);
  const at::Tensor masks = Aligned(tensors_.mask_logits);
  Expect(masks, "pred_masks_all", kFinalMaskTolerance);
  const auto queries = Results()[run_.name]["network"]["mask_queries"].get<std::vector<int64_t>>();
  Expect(masks.index_select(0, at::tensor(queries)), "pred_masks_sub", kFinalMaskTolerance);
  ExpectAreas(geometry_.network, "mask_area");
  ExpectBits(geometry_.network, run_.name, "inst_masks3");
}

// Recorded for one run alone.
void VocabularyParity::ExpectOtherSizes() const {
  if (std::string(run_.name) != "vocab_c") return;
  for (const ImageSize size : {ImageSize{120, 181}, ImageSize{260, 391}}) {
    const std::string output = absl::StrCat("out", size.height, "x", size.width);
    ExpectAreas(size, output + "_mask_area");
    ExpectBits(size, absl::StrCat(run_.name, "_", output), output + "_inst_masks3");
  }
}

TEST_P(VocabularyParity, EveryStageEqualsThePublishedCode) {
  ExpectSelection();
  ExpectFirstPrediction();
  ExpectLayers();
  ExpectResult();
  ExpectOtherSizes();
  // The same code whatever made the queries: once is enough.
  if (std::get<ops::Path>(GetParam()) == ops::Path::kReference) return;
  ExpectSemantic();
  ExpectPanoptic();
  ExpectInstances();
}

INSTANTIATE_TEST_SUITE_P(Runs, VocabularyParity,
                         ::testing::Combine(::testing::Values(ops::Path::kNative,
                                                              ops::Path::kReference),
                                            ::testing::ValuesIn(kRuns)),
                         [](const auto& info) {
                           const bool native = std::get<0>(info.param) == ops::Path::kNative;
                           return absl::StrCat(std::get<1>(info.param).name,
                                               native ? "_native" : "_reference");
                         });

}  // namespace semsam::testing
