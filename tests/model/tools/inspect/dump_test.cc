#include <gtest/gtest.h>

#include <algorithm>

#include "model/tools/inspect/dump_command.h"
#include "model/weights/npy.h"
#include "tests/model/tools/inspect/inspect_fixture.h"

namespace semsam {
namespace {

class Dump : public testing::InspectTest {
 protected:
  void SetUp() override {
    InspectTest::SetUp();
    Write("prompts.json",
          R"({"prompts": {"one": {"points_cxcywh": [[0.5, 0.5, 0.005, 0.005]]},
              "two": {"points_cxcywh": [[0.2, 0.5, 0.005, 0.005], [0.7, 0.4, 0.3, 0.2]],
                      "pb": [0, 1], "joint": true}}})");
  }

  int Run(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {
        "--weights", "formula:swin-tiny",  "--image", Path("image.bmp"),
        "--prompts", Path("prompts.json"), "--out",   Path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCommand(DumpCommand(), arguments);
  }
};

using Sizes = std::vector<int64_t>;

TEST_F(Dump, WritesEveryArrayInItsShape) {
  ASSERT_EQ(Run(), 0) << error_.str();
  // 60 x 90, padded to 64 x 96
  EXPECT_EQ(Shape("res2"), (Sizes{1, 16, 16, 24}));
  EXPECT_EQ(Shape("res5"), (Sizes{1, 128, 2, 3}));
  EXPECT_EQ(Shape("ms0"), (Sizes{1, 64, 8, 12}));
  EXPECT_EQ(Shape("ms3"), (Sizes{1, 64, 1, 2}));
  EXPECT_EQ(Shape("mask_features"), (Sizes{1, 64, 16, 24}));
  EXPECT_EQ(Shape("one_pred_masks"), (Sizes{6, 16, 24}));
  EXPECT_EQ(Shape("one_pred_ious"), (Sizes{1, 6}));
  EXPECT_EQ(Shape("one_pred_boxes"), (Sizes{6, 4}));
  EXPECT_EQ(Shape("one_refs"), (Sizes{3, 6, 4}));
  EXPECT_EQ(Shape("two_pred_masks"), (Sizes{12, 16, 24}));
  EXPECT_EQ(Shape("two_pred_ious"), (Sizes{2, 6}));
  EXPECT_FALSE(std::filesystem::exists(Path("out/one_hs_raw.npy")));
}

TEST_F(Dump, EveryLayerAndResizeAreOptions) {
  ASSERT_EQ(Run({"--every_layer", "--resize"}), 0) << error_.str();
  // Short edge to 128: 128 x 192
  EXPECT_EQ(Shape("res2"), (Sizes{1, 16, 32, 48}));
  EXPECT_EQ(Shape("one_boxes_all"), (Sizes{2, 6, 4}));
  EXPECT_EQ(Shape("one_ious_all"), (Sizes{2, 1, 6}));
  EXPECT_EQ(Shape("one_hs_raw"), (Sizes{6, 64}));
}

TEST_F(Dump, BothPathsAgree) {
  ASSERT_EQ(Run(), 0) << error_.str();
  const auto native = ReadNpy(Path("out/two_pred_masks.npy"));
  ASSERT_EQ(Run({"--reference"}), 0) << error_.str();
  const auto reference = ReadNpy(Path("out/two_pred_masks.npy"));
  ASSERT_TRUE(native.ok() && reference.ok());
  const auto a = native->values<float>();
  const auto b = reference->values<float>();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-4);
}

TEST_F(Dump, WordsAddEmbeddingsAndLogitsOfBothHeads) {
  Write("objects.txt", "dog\ntraffic light\r\n\ncat");
  Write("parts.txt", "head\nleg\n");
  ASSERT_EQ(Run({"--objects", Path("objects.txt"), "--object-mode", "plain", "--parts",
                 Path("parts.txt")}),
            0)
      << error_.str();
  EXPECT_EQ(Shape("objects_text"), (Sizes{3, 64}));
  EXPECT_EQ(Shape("parts_text"), (Sizes{2, 64}));
  EXPECT_EQ(Shape("one_logits_whole"), (Sizes{6, 3}));
  EXPECT_EQ(Shape("two_logits_part"), (Sizes{12, 2}));
  const auto plain = ReadNpy(Path("out/objects_text.npy"));
  ASSERT_EQ(Run({"--objects=" + Path("objects.txt")}), 0) << error_.str();
  const auto ensemble = ReadNpy(Path("out/objects_text.npy"));
  ASSERT_TRUE(plain.ok() && ensemble.ok());
  const auto a = plain->values<float>(), b = ensemble->values<float>();
  EXPECT_FALSE(std::equal(a.begin(), a.end(), b.begin(), b.end()));
}

TEST_F(Dump, WordsThatCannotBeAreRefused) {
  Write("objects.txt", "dog\n\xFF\n");
  EXPECT_EQ(Run({"--objects", Path("objects.txt")}), 1);
  EXPECT_NE(error_.str().find("objects.txt: terms[1]"), std::string::npos) << error_.str();
  Write("objects.txt", "\n");
  EXPECT_EQ(Run({"--objects", Path("objects.txt")}), 1);
  EXPECT_EQ(Run({"--object-mode", "both"}), 2);
  EXPECT_EQ(Run({"--part-mode=x"}), 2);
}

TEST_F(Dump, SaysWhichFileIsWrong) {
  Write("image.bmp", "not an image");
  EXPECT_EQ(Run(), 1);
  EXPECT_NE(error_.str().find("image.bmp"), std::string::npos) << error_.str();
  WriteBitmap("image.bmp", 90, 60);
  Write("prompts.json", "{}");
  EXPECT_EQ(Run(), 1);
  EXPECT_NE(error_.str().find("prompts.json"), std::string::npos) << error_.str();
}

}  // namespace
}  // namespace semsam
