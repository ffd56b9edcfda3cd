#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/tools/inspect/vocab_command.h"
#include "tests/model/tools/inspect/inspect_fixture.h"

namespace semsam {
namespace {

using Json = nlohmann::json;
using Sizes = std::vector<int64_t>;

class Vocab : public testing::InspectTest {
 protected:
  void SetUp() override {
    InspectTest::SetUp();
    Write("words.json", R"({"classes": ["dog", "cat", "sky"], "things": [0, 1]})");
  }

  int RunOf(const std::string& weights, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"--weights",       weights,    "--image",
                                          Path("image.bmp"), "--words",  Path("words.json"),
                                          "--out",           Path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand(VocabCommand(), arguments);
  }
  int Run(std::vector<std::string> more = {}) {
    return RunOf("formula:swin-tiny", std::move(more));
  }

  NpyArray Array(const std::string& name) const {
    auto array = ReadNpy(Path("out/" + name + ".npy"));
    EXPECT_TRUE(array.ok()) << array.status();
    return array.ok() ? *std::move(array) : NpyArray();
  }
  Json Results() const {
    std::ifstream file(Path("out/results.json"));
    return Json::parse(file, nullptr, /*allow_exceptions=*/false);
  }
};

TEST_F(Vocab, WritesEveryArrayInItsShape) {
  ASSERT_EQ(Run(), 0) << error_.str();
  // 60 x 90, padded to 64 x 96: maps of 1 x 2, 2 x 3, 4 x 6 and 8 x 12.
  const int64_t tokens = 2 + 6 + 24 + 96;
  EXPECT_EQ(Shape("topk_idx"), (Sizes{20}));
  EXPECT_EQ(Shape("topk_score"), (Sizes{20}));
  EXPECT_EQ(Shape("enc_class_max"), (Sizes{tokens}));
  EXPECT_EQ(Shape("enc_rows"), (Sizes{16}));
  for (const char* rows : {"enc_memory_rows", "enc_outmem_rows"}) {
    EXPECT_EQ(Shape(rows), (Sizes{16, 64})) << rows;
  }
  EXPECT_EQ(Shape("enc_class_rows"), (Sizes{16, 3}));
  EXPECT_EQ(Shape("enc_prop_rows"), (Sizes{16, 4}));
  EXPECT_EQ(Shape("enc_coord_rows"), (Sizes{16, 4}));
  EXPECT_EQ(Shape("interm_boxes"), (Sizes{25, 4}));
  EXPECT_EQ(Shape("interm_logits"), (Sizes{25, 3}));
  EXPECT_EQ(Shape("interm_masks"), (Sizes{25, 16, 24}));
  EXPECT_EQ(Shape("refs"), (Sizes{3, 25, 4}));
  EXPECT_EQ(Shape("aux_logits"), (Sizes{2, 25, 3}));
  EXPECT_EQ(Shape("aux_boxes"), (Sizes{2, 25, 4}));
  EXPECT_EQ(Shape("hs_raw"), (Sizes{25, 64}));
  EXPECT_EQ(Shape("text_emb"), (Sizes{3, 64}));
  EXPECT_EQ(Shape("pred_logits"), (Sizes{25, 3}));
  EXPECT_EQ(Shape("pred_boxes"), (Sizes{25, 4}));
  EXPECT_EQ(Shape("pred_masks_all"), (Sizes{25, 16, 24}));
  EXPECT_EQ(Shape("pred_masks_sub"), (Sizes{5, 16, 24}));
  EXPECT_EQ(Shape("mask_area"), (Sizes{25}));
  EXPECT_EQ(Shape("sem_seg"), (Sizes{3, 60, 90}));
  EXPECT_EQ(Shape("sem_seg_notransform"), (Sizes{3, 60, 90}));
  EXPECT_EQ(Shape("sem_argmax"), (Sizes{60, 90}));
  for (const char* map : {"pano_P0", "pano_P1", "pano_P2", "pano_P3", "pano_P4"}) {
    EXPECT_EQ(Shape(map), (Sizes{60, 90})) << map;
  }
  EXPECT_FALSE(std::filesystem::exists(Path("out/pred_part_logits.npy")));
}

TEST_F(Vocab, ArraysAndListsAgree) {
  ASSERT_EQ(Run(), 0) << error_.str();
  const NpyArray chosen = Array("topk_idx"), scores = Array("topk_score");
  const NpyArray all = Array("enc_class_max");
  ASSERT_EQ(chosen.dtype, DType::kInt32);
  for (size_t i = 0; i < 20; ++i) {
    const auto token = static_cast<size_t>(chosen.values<int32_t>()[i]);
    EXPECT_EQ(scores.values<float>()[i], all.values<float>()[token]);
    EXPECT_LE(scores.values<float>()[i], scores.values<float>()[i == 0 ? 0 : i - 1]);
  }
  const Json results = Results();
  ASSERT_TRUE(results.is_object());
  EXPECT_EQ(results["network"]["tokens"], 128);
  EXPECT_EQ(results["network"]["learned_queries"], 5);
  EXPECT_EQ(results["output_size"], Json({60, 90}));
  // The learned queries give no instances, and of (query, class) pairs 20 are kept.
  EXPECT_EQ(results["instances"]["inst_seg"]["n"], 20);
  const NpyArray logits = Array("pred_logits"), areas = Array("mask_area");
  for (const Json& entry : results["instances"]["inst_seg"]["entries"]) {
    const size_t query = entry["query"], word = entry["cls"];
    EXPECT_LT(query, 20u);
    const double logit = logits.values<float>()[query * 3 + word];
    EXPECT_NEAR(entry["class_score"].get<double>(), 1 / (1 + std::exp(-logit)), 1e-5);
    EXPECT_EQ(entry["mask_area"], areas.values<int32_t>()[query]);
  }
  for (const Json& entry : results["instances"]["seg"]["entries"]) EXPECT_LT(entry["cls"], 2);
  const NpyArray map = Array("pano_P3");
  for (const auto& [id, pixels] : results["panoptic"]["P3"]["pixel_count_by_id"].items()) {
    const auto ids = map.values<int32_t>();
    EXPECT_EQ(std::count(ids.begin(), ids.end(), std::stoi(id)), pixels.get<int64_t>());
  }
}

TEST_F(Vocab, WordsSayWhatIsMadeOfThem) {
  Write("words.json", R"({"classes": ["dog", "sky"], "things": [0], "parts": ["head"],
                          "mode": "plain", "presets": {"mine": [0, 0, null]}, "output": [20, 30],
                          "queries": 7, "top_instances": 4, "mask_queries": [3]})");
  ASSERT_EQ(Run({"--resize"}), 0) << error_.str();
  EXPECT_EQ(Shape("topk_idx"), (Sizes{7}));
  EXPECT_EQ(Shape("pred_part_logits"), (Sizes{12, 1}));
  EXPECT_EQ(Shape("pred_masks_sub"), (Sizes{1, 32, 48}));  // 128 x 192
  EXPECT_EQ(Shape("sem_seg"), (Sizes{2, 20, 30}));
  EXPECT_EQ(Shape("pano_mine"), (Sizes{20, 30}));
  EXPECT_FALSE(std::filesystem::exists(Path("out/pano_P0.npy")));
  EXPECT_EQ(Results()["instances"]["inst_seg"]["n"], 4);
}

TEST_F(Vocab, GivenEmbeddingsStandInForTheTextEncoder) {
  ASSERT_EQ(Run(), 0) << error_.str();
  const NpyArray text = Array("text_emb"), own = Array("pred_logits");
  ASSERT_TRUE(WriteNpy(Path("text.npy"), text.shape, text.values<float>()).ok());
  ASSERT_EQ(Run({"--text", Path("text.npy")}), 0) << error_.str();
  EXPECT_EQ(Array("pred_logits").data, own.data);
  ASSERT_TRUE(WriteNpy(Path("text.npy"), Sizes{64}, text.values<float>().first(64)).ok());
  EXPECT_EQ(Run({"--text", Path("text.npy")}), 1);
  EXPECT_NE(error_.str().find("must be float32 [3,64]"), std::string::npos) << error_.str();
}

TEST_F(Vocab, BothPathsAgree) {
  ASSERT_EQ(Run(), 0) << error_.str();
  const NpyArray native = Array("pred_masks_all");
  ASSERT_EQ(Run({"--reference"}), 0) << error_.str();
  const NpyArray reference = Array("pred_masks_all");
  ASSERT_EQ(native.shape, reference.shape);
  for (size_t i = 0; i < native.values<float>().size(); ++i) {
    ASSERT_NEAR(native.values<float>()[i], reference.values<float>()[i], 1e-3);
  }
}

TEST_F(Vocab, SaysWhatIsWrong) {
  EXPECT_EQ(RunOf("formula:swin-tiny-wordless", {}), 1);
  EXPECT_NE(error_.str().find("has no vocabulary"), std::string::npos) << error_.str();
  Write("words.json", R"({"classes": ["dog"], "things": [1]})");
  EXPECT_EQ(Run(), 1);
  EXPECT_NE(error_.str().find("words.json: things[0]"), std::string::npos) << error_.str();
  EXPECT_EQ(Run({"--image", Path("nothing.png")}), 2) << "an option twice";
}

}  // namespace
}  // namespace semsam
