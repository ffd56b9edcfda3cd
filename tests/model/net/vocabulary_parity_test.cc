// Generic queries against the published OpenSeeD code, on both paths. Rows are
// aligned by the token that a query came from: neighbouring scores can be closer
// than rounding, and the result does not depend on the order.
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/image/decode_image.h"
#include "model/image/mask_tail.h"
#include "model/net/load_model.h"
#include "model/net/vocabulary_run.h"
#include "tests/support/golden.h"

namespace semsam::testing {
namespace {

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
constexpr int64_t kAreaTolerance_px = 8;

struct GoldenRun {
  const char* name;
  const char* manifests;  // below vocab/, separated by commas
  const char* text;
  const char* image;
  int queries;
};
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

// One at a time: each is half a gigabyte, most of it the text encoder.
const SemanticSam& Network(const std::string& manifests, ops::Path path) {
  static auto* current = new std::pair<std::string, LoadedModel>();
  const std::string key = absl::StrCat(manifests, static_cast<int>(path));
  if (current->first != key) {
    std::string spec;
    std::stringstream files(manifests);
    for (std::string file; std::getline(files, file, ',');) {
      absl::StrAppend(&spec, spec.empty() ? "" : ",", SEMSAM_PARITY_DIR "/vocab/", file);
    }
    current->second = {};
    absl::StatusOr<LoadedModel> model = LoadModel(spec, at::kCPU, path);
    EXPECT_TRUE(model.ok()) << model.status();
    *current = {key, *std::move(model)};
  }
  return *current->second.network;
}

const nlohmann::json& Results() {
  static const auto* results = [] {
    std::ifstream file(SEMSAM_PARITY_DIR "/vocab/results_vocab.json");
    return new nlohmann::json(nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false));
  }();
  return *results;
}

class VocabularyParity : public ::testing::TestWithParam<std::tuple<ops::Path, GoldenRun>> {
 protected:
  void SetUp() override {
    SEMSAM_SKIP_WITHOUT_PARITY();
    run_ = std::get<GoldenRun>(GetParam());
    network_ = &Network(run_.manifests, std::get<ops::Path>(GetParam()));
    Encode();
    text_ = ReadGolden(absl::StrCat("vocab/", run_.text));
    const VocabularyImage image = {features_, {}, geometry_.padded};
    tensors_ = RunVocabulary(*network_, image, {.objects = text_, .parts = {}}, run_.queries,
                             /*every_layer=*/true);
    Align();
  }

  void Encode() {
    const std::string path = absl::StrCat(SEMSAM_PARITY_DIR "/vocab/img_", run_.image, ".png");
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const absl::StatusOr<Rgb8Image> image = DecodeImage(bytes, DecodeLimits{});
    ASSERT_TRUE(image.ok()) << image.status();
    geometry_ = {image->size, image->size, PaddedSize(network_->config(), image->size)};
    const at::Tensor pixels =
        at::from_blob(const_cast<uint8_t*>(image->pixels.data()),
                      {1, image->size.height, image->size.width, 3}, at::kByte);
    features_ = network_->Encode(network_->Preprocess(pixels, geometry_.padded)).front();
  }

  // Where each golden row stands in ours; the chosen sets must be equal.
  void Align() {
    const at::Tensor golden = Golden("topk_idx").to(at::kLong);
    const at::Tensor ours = tensors_.selected.tokens;
    ASSERT_EQ(golden.numel(), ours.numel());
    std::map<int64_t, int64_t> row_of;
    for (int64_t i = 0; i < ours.numel(); ++i) row_of[ours[i].item<int64_t>()] = i;
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < golden.numel(); ++i) {
      const auto row = row_of.find(golden[i].item<int64_t>());
      ASSERT_NE(row, row_of.end()) << "token " << golden[i].item<int64_t>() << " is not chosen";
      rows.push_back(row->second);
    }
    const int64_t queries = tensors_.selected.content.size(0);
    for (int64_t i = golden.numel(); i < queries; ++i) rows.push_back(i);
    rows_ = at::tensor(rows);
  }

  std::string File(const std::string& what) const {
    return absl::StrCat(run_.name, "_", what, ".npy");
  }
  at::Tensor Golden(const std::string& what) const { return ReadGolden("vocab/" + File(what)); }

  // `actual` whole, in golden order. Infinities must be the same.
  void Expect(const at::Tensor& actual, const std::string& what, double tolerance) const {
    const at::Tensor golden = Golden(what).reshape({-1});
    const at::Tensor sampled = actual.contiguous().view({-1}).slice(
        0, 0, c10::nullopt, GoldenStride(File(what), "vocab/goldens_vocab.tsv"));
    ASSERT_EQ(sampled.numel(), golden.numel()) << what;
    const at::Tensor differences =
        at::where(sampled == golden, at::zeros_like(golden), (sampled - golden).abs());
    EXPECT_LE(differences.max().item<double>(), tolerance) << what;
  }
  // The same of rows of queries.
  void ExpectRows(const at::Tensor& actual, const std::string& what, double tolerance) const {
    Expect(Aligned(actual), what, tolerance);
  }
  at::Tensor Aligned(const at::Tensor& rows) const { return rows.index_select(0, rows_); }

  // The mask of a golden row, 0 or 1.
  std::vector<uint8_t> Mask(int64_t golden_row, ImageSize output) const {
    const at::Tensor logits = tensors_.mask_logits[rows_[golden_row].item<int64_t>()].contiguous();
    const ImageGeometry geometry = {output, geometry_.network, geometry_.padded};
    const LogitsView view = {features_.grid, logits.const_data_ptr<float>()};
    return LogitsToMask(view, geometry, MaskResolution::kOriginal).pixels;
  }
  void ExpectAreas(ImageSize output, const std::string& what) const {
    const at::Tensor golden = Golden(what);
    ASSERT_EQ(golden.numel(), rows_.numel());
    for (int64_t i = 0; i < golden.numel(); ++i) {
      const std::vector<uint8_t> mask = Mask(i, output);
      const int64_t area = std::count(mask.begin(), mask.end(), 1);
      EXPECT_LE(std::abs(area - golden[i].item<int64_t>()), kAreaTolerance_px) << what << i;
    }
  }
  void ExpectBits(ImageSize output, const std::string& run, const std::string& what) const {
    const at::Tensor golden = Golden(what);
    const auto& queries = Results()[run]["instances"]["seg"]["bitmask_queries"];
    ASSERT_EQ(queries.size(), 3u);
    for (int64_t q = 0; q < 3; ++q) {
      const std::vector<uint8_t> mask = Mask(queries[static_cast<size_t>(q)], output);
      const at::Tensor bytes = golden[q].contiguous();
      const uint8_t* bits = bytes.const_data_ptr<uint8_t>();
      int64_t differing = 0;
      for (size_t i = 0; i < mask.size(); ++i) {
        differing += mask[i] != (bits[i / 8] >> (7 - i % 8) & 1);
      }
      EXPECT_LE(differing, kAreaTolerance_px) << what << q;
    }
  }

  void ExpectSelection() const;
  void ExpectFirstPrediction() const;
  void ExpectLayers() const;
  void ExpectResult() const;
  void ExpectOtherSizes() const;

  c10::InferenceMode inference_;
  GoldenRun run_;
  const SemanticSam* network_ = nullptr;
  ImageGeometry geometry_;
  ImageFeatures features_;
  at::Tensor text_;
  VocabularyTensors tensors_;
  at::Tensor rows_;
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

}  // namespace
}  // namespace semsam::testing
