// Runs of the published OpenSeeD code and ours beside them. Rows are aligned by the
// token that a query came from: neighbouring scores can be closer than rounding, and
// the result does not depend on the order.
#ifndef SEMSAM_TESTS_MODEL_NET_VOCABULARY_PARITY_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_NET_VOCABULARY_PARITY_FIXTURE_H_

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
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
#include "model/image/vocabulary_inference.h"
#include "model/net/load_model.h"
#include "model/net/vocabulary_run.h"
#include "tests/support/golden.h"

namespace semsam::testing {

inline constexpr int64_t kAreaTolerance_px = 8;

struct GoldenRun {
  const char* name;
  const char* manifests;  // below vocab/, separated by commas
  const char* text;
  const char* image;
  int queries;
};
// One at a time: each is half a gigabyte, most of it the text encoder.
inline const SemanticSam& VocabularyNetwork(const std::string& manifests, ops::Path path) {
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

inline const nlohmann::json& Results() {
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
    network_ = &VocabularyNetwork(run_.manifests, std::get<ops::Path>(GetParam()));
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
    golden_order_ = {Aligned(tensors_.object_logits).contiguous(),
                     Aligned(tensors_.mask_logits).contiguous(),
                     {}};
    const at::Tensor boxes = Aligned(tensors_.boxes).contiguous();
    for (int64_t i = 0; i < boxes.size(0); ++i) {
      const float* box = boxes.const_data_ptr<float>() + 4 * i;
      golden_order_.boxes.push_back({box[0], box[1], box[2], box[3]});
    }
  }

  std::string File(const std::string& what) const {
    return absl::StrCat(run_.name, "_", what, ".npy");
  }
  at::Tensor Golden(const std::string& what) const { return ReadGolden("vocab/" + File(what)); }

  bool HasGolden(const std::string& what) const {
    return std::filesystem::exists(absl::StrCat(SEMSAM_PARITY_DIR "/vocab/", File(what)));
  }

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

  // vocabulary_parity_test.cc
  void ExpectSelection() const;
  void ExpectFirstPrediction() const;
  void ExpectLayers() const;
  void ExpectResult() const;
  void ExpectOtherSizes() const;
  // vocabulary_inference_parity.cc
  VocabularyQueries Queries(ImageSize output) const;
  void ExpectSemantic() const;
  void ExpectPanoptic() const;
  void ExpectInstances() const;

  c10::InferenceMode inference_;
  GoldenRun run_;
  const SemanticSam* network_ = nullptr;
  ImageGeometry geometry_;
  ImageFeatures features_;
  at::Tensor text_;
  VocabularyTensors tensors_;
  at::Tensor rows_;  // golden row -> ours
  struct {
    at::Tensor logits;  // [Q, classes]
    at::Tensor masks;   // [Q, grid.area()]
    std::vector<CenterBox> boxes;
  } golden_order_;
};

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_NET_VOCABULARY_PARITY_FIXTURE_H_
