#include "model/image/mask_cleanup.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "model/image/run_lengths.h"
#include "tests/model/image/image_test_util.h"
#include "tests/support/npy.h"

namespace semsam {
namespace {

using testing::MaskFromRows;
using testing::RowsOf;

using Rows = std::vector<std::string>;

TEST(FillHoles, FillsSmallBackgroundComponentsAlsoAtTheBorder) {
  BinaryMask mask = MaskFromRows({".#####..",  //
                                  "##.####.",  //
                                  "####..#.",  //
                                  "#######."});
  const auto changed = FillHoles(mask, 3);
  ASSERT_TRUE(changed.ok());
  EXPECT_TRUE(*changed);
  EXPECT_EQ(RowsOf(mask), (Rows{"######..",  //
                                "#######.",  //
                                "#######.",  //
                                "#######."}));
}

TEST(FillHoles, DiagonalNeighboursAreOneHole) {
  const Rows rows = {"######",  //
                     "#.####",  //
                     "##.###",  //
                     "######"};
  BinaryMask mask = MaskFromRows(rows);
  EXPECT_FALSE(*FillHoles(mask, 2));
  EXPECT_EQ(RowsOf(mask), rows);
  EXPECT_TRUE(*FillHoles(mask, 3));
  EXPECT_EQ(RowsOf(mask), Rows(4, "######"));
}

TEST(RemoveIslands, ClearsSmallComponents) {
  BinaryMask mask = MaskFromRows({"#...##",  //
                                  ".#..##",  //
                                  "......",  //
                                  "#....."});
  EXPECT_TRUE(*RemoveIslands(mask, 4));
  EXPECT_EQ(RowsOf(mask), (Rows{"....##", "....##", "......", "......"}));
  EXPECT_FALSE(*RemoveIslands(mask, 4));
}

TEST(RemoveIslands, TheLargestStaysIfAllAreSmall) {
  BinaryMask mask = MaskFromRows({"##..#", ".....", "#...#"});
  EXPECT_TRUE(*RemoveIslands(mask, 100));
  EXPECT_EQ(RowsOf(mask), (Rows{"##...", ".....", "....."}));
  // Published: a lone small component counts as changed although it stays.
  EXPECT_TRUE(*RemoveIslands(mask, 100));
  EXPECT_EQ(RowsOf(mask), (Rows{"##...", ".....", "....."}));
}

TEST(RemoveIslands, AnEmptyMaskIsUnchanged) {
  BinaryMask mask = MaskFromRows({"...", "..."});
  EXPECT_FALSE(*RemoveIslands(mask, 100));
  BinaryMask full = MaskFromRows({"###", "###"});
  EXPECT_FALSE(*FillHoles(full, 100));
}

TEST(MaskCleanup, EqualsThePublishedCodeOnSyntheticMasks) {
  const std::string dir = std::string(SEMSAM_PARITY_DIR) + "/amg/amg_syn/";
  if (!testing::FileExists(dir + "logits.npy")) GTEST_SKIP() << "no parity folder at " << dir;
  const auto logits = testing::ReadNpy<float>(dir + "logits.npy");
  const auto json = nlohmann::json::parse(testing::ReadPythonJson(dir + "expected.json"), nullptr,
                                          /*allow_exceptions=*/false);
  ASSERT_FALSE(json.is_discarded());
  const auto& expected = json["per_mask"];
  const ImageSize size{static_cast<int>(logits.dim(1)), static_cast<int>(logits.dim(2))};
  ASSERT_EQ(expected["holes12"].size(), static_cast<size_t>(logits.dim(0)));
  for (int64_t i = 0; i < logits.dim(0); ++i) {
    BinaryMask original{.size = size};
    for (int64_t k = 0; k < size.area(); ++k) {
      original.pixels.push_back(logits.data[i * size.area() + k] > 0);
    }
    using Clean = absl::StatusOr<bool> (*)(BinaryMask&, int64_t);
    for (const auto& [key, clean] :
         {std::pair<const char*, Clean>{"holes12", FillHoles}, {"islands12", RemoveIslands}}) {
      BinaryMask mask = original;
      const auto changed = clean(mask, 12);
      ASSERT_TRUE(changed.ok());
      const int64_t sum = std::accumulate(mask.pixels.begin(), mask.pixels.end(), int64_t{0});
      EXPECT_EQ(sum, expected[key][i][0].get<int64_t>()) << key << " " << i;
      EXPECT_EQ(*changed, expected[key][i][1].get<bool>()) << key << " " << i;
    }
  }
}

TEST(CleanUpMask, EqualsTheStepsOnTheWholeMask) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    const ImageSize size = {1 + static_cast<int>(random() % 40),
                            1 + static_cast<int>(random() % 40)};
    BinaryMask mask = testing::RandomMask(size, (random() % 10) / 9.0, random());
    // Clear all but a window, so that there is something to leave out.
    const int x0 = static_cast<int>(random() % size.width);
    const int y0 = static_cast<int>(random() % size.height);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        if (x < x0 || x > x0 + 12 || y < y0 || y > y0 + 9) mask.pixels[y * size.width + x] = 0;
      }
    }
    for (const int64_t min_area :
         {int64_t{0}, int64_t{1}, int64_t{4}, int64_t{30}, std::numeric_limits<int64_t>::max()}) {
      RunLengths runs = EncodeRunLengths(mask);
      const auto changed = CleanUpMask(runs, min_area);
      ASSERT_TRUE(changed.ok()) << changed.status();
      BinaryMask whole = mask;
      const bool filled = *FillHoles(whole, min_area);
      const bool removed = *RemoveIslands(whole, min_area);
      ASSERT_EQ(*changed, filled || removed) << round << " " << min_area;
      ASSERT_EQ(runs, EncodeRunLengths(whole)) << round << " " << min_area;
    }
  }
}

}  // namespace
}  // namespace semsam
