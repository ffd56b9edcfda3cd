// What people asked for, made of the network's own queries: semantic and panoptic
// maps and instances against the published code.
#include <cmath>

#include "tests/model/net/vocabulary_parity_fixture.h"

namespace semsam::testing {
namespace {

// parity/vocab notes, section 10.
constexpr double kSemanticTolerance = 4e-3;
constexpr double kPlainSemanticTolerance = 6e-3;
constexpr int64_t kSemanticTolerance_px = 10;
constexpr int64_t kPanopticTolerance_px = 20;
constexpr double kBoxTolerance_px = 5e-3;

struct Preset {
  const char* name;
  float object_threshold;
  float overlap_threshold;
  bool softmax;
};
constexpr Preset kPresets[] = {{"P0", .25f, .8f, true},
                               {"P1", .25f, .05f, true},
                               {"P2", .9f, .2f, true},
                               {"P3", .6f, .05f, false},
                               {"P4", .99f, .3f, true}};

struct Mode {
  const char* name;
  bool things_alone;
  bool masks;
};
constexpr Mode kModes[] = {{"seg", true, true}, {"inst_seg", false, true}, {"box", false, false}};

absl::Span<const float> Span(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

// The reference's first six classes are things.
std::vector<bool> Things() {
  return {true, true, true, true, true, true, false, false, false, false, false, false};
}

at::Tensor SemanticScores(const VocabularyQueries& queries, ImageSize output, bool softmax) {
  at::Tensor map = at::empty({queries.classes, output.height, output.width}, at::kFloat);
  const absl::Status status =
      InferSemantic(queries, {.output = output, .softmax = softmax},
                    [&](int first_row, int rows, absl::Span<const float> scores) {
                      map.slice(1, first_row, first_row + rows)
                          .copy_(at::from_blob(const_cast<float*>(scores.data()),
                                               {queries.classes, rows, output.width}, at::kFloat));
                    });
  EXPECT_TRUE(status.ok()) << status;
  return map;
}

int64_t Differing(const std::vector<int32_t>& map, const at::Tensor& golden) {
  const at::Tensor ours = at::tensor(map).view(golden.sizes());
  return (ours != golden.to(at::kInt)).sum().item<int64_t>();
}

}  // namespace

// In golden order, so that segments and ties come in the same order.
VocabularyQueries VocabularyParity::Queries(ImageSize output) const {
  return {.geometry = {output, geometry_.network, geometry_.padded},
          .grid = features_.grid,
          .queries = static_cast<int>(rows_.numel()),
          .classes = static_cast<int>(golden_order_.logits.size(1)),
          .class_logits = Span(golden_order_.logits),
          .mask_logits = Span(golden_order_.masks),
          .boxes = golden_order_.boxes};
}

void VocabularyParity::ExpectSemantic() const {
  const ImageSize output = geometry_.network;
  const VocabularyQueries queries = Queries(output);
  Expect(SemanticScores(queries, output, /*softmax=*/true), "sem_seg", kSemanticTolerance);
  Expect(SemanticScores(queries, output, /*softmax=*/false), "sem_seg_notransform",
         kPlainSemanticTolerance);
  const auto classes = InferSemanticMap(queries, {.output = output});
  ASSERT_TRUE(classes.ok()) << classes.status();
  EXPECT_LE(Differing(*classes, Golden("sem_argmax")), kSemanticTolerance_px);
  if (std::string(run_.name) != "vocab_c") return;
  for (const ImageSize size : {ImageSize{120, 181}, ImageSize{260, 391}}) {
    Expect(SemanticScores(Queries(size), size, /*softmax=*/true),
           absl::StrCat("out", size.height, "x", size.width, "_sem_seg"), kSemanticTolerance);
  }
}

void VocabularyParity::ExpectPanoptic() const {
  const ImageSize output = geometry_.network;
  for (const Preset& preset : kPresets) {
    const auto map = InferPanoptic(Queries(output), {.output = output,
                                                     .object_threshold = preset.object_threshold,
                                                     .overlap_threshold = preset.overlap_threshold,
                                                     .softmax = preset.softmax,
                                                     .is_thing = Things()});
    ASSERT_TRUE(map.ok()) << map.status();
    const nlohmann::json& expected = Results()[run_.name]["panoptic"][preset.name];
    const nlohmann::json& segments = expected["segments_info"];
    ASSERT_EQ(map->segments.size(), segments.size()) << preset.name;
    for (size_t i = 0; i < segments.size(); ++i) {
      EXPECT_EQ(map->segments[i].id, segments[i]["id"]) << preset.name;
      EXPECT_EQ(map->segments[i].word, segments[i]["category_id"]) << preset.name;
      EXPECT_EQ(map->segments[i].is_thing, segments[i]["isthing"]) << preset.name;
    }
    for (const auto& [id, pixels] : expected["pixel_count_by_id"].items()) {
      const int64_t ours = std::count(map->ids.begin(), map->ids.end(), std::stoi(id));
      EXPECT_LE(std::abs(ours - pixels.get<int64_t>()), kPanopticTolerance_px) << preset.name << id;
    }
    const std::string golden = absl::StrCat("pano_", preset.name);
    if (!HasGolden(golden)) continue;
    EXPECT_LE(Differing(map->ids, Golden(golden)), kPanopticTolerance_px) << preset.name;
  }
}

void VocabularyParity::ExpectInstances() const {
  const ImageSize output = geometry_.network;
  for (const Mode& mode : kModes) {
    const nlohmann::json& expected = Results()[run_.name]["instances"][mode.name];
    const auto instances = InferInstances(
        Queries(output), {.output = output,
                          .top = network_->config().vocabulary->top_instances,
                          .instance_queries = static_cast<int>(tensors_.selected.tokens.numel()),
                          .keep_class = mode.things_alone ? Things() : std::vector<bool>(),
                          .masks = mode.masks});
    ASSERT_TRUE(instances.ok()) << instances.status();
    EXPECT_EQ(instances->size(), expected["n"].get<size_t>()) << mode.name;
    for (const nlohmann::json& entry : expected["entries"]) {
      const auto found =
          std::find_if(instances->begin(), instances->end(), [&](const VocabularyInstance& i) {
            return i.query == entry["query"] && i.word == entry["cls"];
          });
      ASSERT_NE(found, instances->end()) << mode.name << " " << entry.dump();
      const double area = mode.masks ? entry["mask_area"].get<double>() : 1e9;
      EXPECT_NEAR(found->score, entry["score"].get<double>(), 1e-4 + 2 / area) << mode.name;
      const float box[] = {found->x0, found->y0, found->x1, found->y1};
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(box[k], entry["box_xyxy"][k].get<double>(), kBoxTolerance_px) << mode.name;
      }
    }
  }
}

}  // namespace semsam::testing
