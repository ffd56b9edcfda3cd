#include "client/mask_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace semsam::client {
namespace {

using ::testing::HasSubstr;

// Row-major '0' and '1', as pycocotools 2.0.11 decodes the counts beside it.
struct RleCase {
  const char* counts;
  ImageSize size;
  const char* pixels;
};

TEST(DecodeCocoRleTest, EqualsPycocotools) {
  const RleCase cases[] = {
      {"211", {2, 2}, "0100"},
      {"112", {2, 2}, "0010"},
      {"04", {2, 2}, "1111"},
      {"6", {3, 2}, "000000"},
      {"22100O20N1014NL0", {4, 7}, "0011000010010111011001001101"},
  };
  for (const RleCase& expected : cases) {
    const auto bitmap = DecodeCocoRle(expected.counts, expected.size);
    ASSERT_TRUE(bitmap.ok()) << expected.counts << ": " << bitmap.status();
    EXPECT_EQ(bitmap->size, expected.size);
    std::string pixels;
    for (const uint8_t pixel : bitmap->pixels) pixels.push_back(static_cast<char>('0' + pixel));
    EXPECT_EQ(pixels, expected.pixels);
  }
}

TEST(DecodeCocoRleTest, ReadsRunsOfManyCharacters) {
  // 60 x 70 px, a frame of 40 rows and 60 columns with a hole of 10 x 10.
  const auto bitmap = DecodeCocoRle(
      "f9X1d0000000000000000000000000000000000000000000000000ROF::FF::FF::FF::FF::FF::FF::FF::FF::"
      "FF::d0000000000000000000000000000000000000000000000000R9",
      {.height = 60, .width = 70});
  ASSERT_TRUE(bitmap.ok()) << bitmap.status();
  EXPECT_EQ(std::accumulate(bitmap->pixels.begin(), bitmap->pixels.end(), 0), 2300);
  EXPECT_EQ(bitmap->pixels[10 * 70 + 5], 1);
  EXPECT_EQ(bitmap->pixels[9 * 70 + 5], 0);
  EXPECT_EQ(bitmap->pixels[25 * 70 + 35], 0);
}

TEST(DecodeCocoRleTest, AnEmptySizeIsAnEmptyMask) {
  const auto bitmap = DecodeCocoRle("", {.height = 0, .width = 5});
  ASSERT_TRUE(bitmap.ok()) << bitmap.status();
  EXPECT_TRUE(bitmap->pixels.empty());
}

TEST(DecodeCocoRleTest, RefusesWhatNoServerSends) {
  struct Bad {
    std::string counts;
    ImageSize size;
    const char* text;
  };
  const Bad cases[] = {
      {"", {2, 2}, "hold 0 px"},          // too few
      {"3", {2, 2}, "hold 3 px"},         // too few
      {"5", {2, 2}, "4 are left"},        // too many
      {"22O", {2, 2}, "run 2"},           // negative
      {"2 2", {2, 2}, "malformed"},       // no character of the code
      {"2\x7f", {2, 2}, "malformed"},     // above the code
      {"P", {2, 2}, "malformed"},         // ends in mid-number
      {"oooooooo", {2, 2}, "malformed"},  // a number too long
      {"0", {-1, 4}, "out of bounds"},    //
      {"0", {1 << 20, 1 << 20}, "out of bounds"},
      {"0", {1 << 15, 1 << 15}, "hold 0 px"},  // nothing is allocated for it
  };
  for (const Bad& bad : cases) {
    const auto bitmap = DecodeCocoRle(bad.counts, bad.size);
    EXPECT_TRUE(absl::IsDataLoss(bitmap.status())) << bad.counts << ": " << bitmap.status();
    EXPECT_THAT(std::string(bitmap.status().message()), HasSubstr(bad.text));
  }
}

TEST(DecodePackedBitsTest, ReadsTheMostSignificantBitFirstAndAlignsRows) {
  const auto bitmap =
      DecodePackedBits(std::string("\x80\x40\x01\x80", 4), {.height = 2, .width = 10});
  ASSERT_TRUE(bitmap.ok()) << bitmap.status();
  EXPECT_EQ(bitmap->pixels,
            (std::vector<uint8_t>{1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0}));
}

TEST(DecodePackedBitsTest, RefusesTheWrongNumberOfBytes) {
  EXPECT_TRUE(absl::IsDataLoss(DecodePackedBits("abc", {.height = 2, .width = 10}).status()));
  EXPECT_TRUE(
      absl::IsDataLoss(DecodePackedBits("", {.height = 1 << 20, .width = 1 << 20}).status()));
}

TEST(DecodeMaskTest, GoesByTheEncoding) {
  Mask mask{.size = {2, 2}, .data = "112"};
  EXPECT_EQ(DecodeMask(mask)->pixels, (std::vector<uint8_t>{0, 0, 1, 0}));
  mask.encoding = MaskEncoding::kPackedBits;
  mask.data = "\x40\x80";
  EXPECT_EQ(DecodeMask(mask)->pixels, (std::vector<uint8_t>{0, 1, 1, 0}));
  mask.encoding = MaskEncoding::kPng;
  EXPECT_TRUE(absl::IsUnimplemented(DecodeMask(mask).status()));
  mask.encoding = MaskEncoding::kLogits;
  EXPECT_TRUE(absl::IsUnimplemented(DecodeMask(mask).status()));
}

TEST(DecodeLogitsTest, ReadsEveryKindOfHalf) {
  Mask mask{.size = {2, 4},
            .encoding = MaskEncoding::kLogits,
            // 1, -2.5, the largest, the smallest, the largest subnormal, -0, -inf, NaN
            .data = std::string("\x00\x3c\x00\xc1\xff\x7b\x01\x00\xff\x03\x00\x80"
                                "\x00\xfc\x01\x7c",
                                16)};
  const auto logits = DecodeLogits(mask);
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ((*logits)[0], 1);
  EXPECT_EQ((*logits)[1], -2.5f);
  EXPECT_EQ((*logits)[2], 65504);
  EXPECT_EQ((*logits)[3], 0x1p-24f);
  EXPECT_EQ((*logits)[4], 1023 * 0x1p-24f);
  EXPECT_TRUE((*logits)[5] == 0 && std::signbit((*logits)[5]));
  EXPECT_EQ((*logits)[6], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan((*logits)[7]));
}

TEST(DecodeLogitsTest, RefusesTheWrongNumberOfBytesAndOtherEncodings) {
  Mask mask{.size = {2, 2}, .encoding = MaskEncoding::kLogits, .data = "1234567"};
  EXPECT_TRUE(absl::IsDataLoss(DecodeLogits(mask).status()));
  mask.size = {1 << 20, 1 << 20};
  EXPECT_TRUE(absl::IsDataLoss(DecodeLogits(mask).status()));
  mask.size = {-1, 2};
  EXPECT_TRUE(absl::IsDataLoss(DecodeLogits(mask).status()));
  mask = {.size = {2, 2}, .data = "112"};
  EXPECT_TRUE(absl::IsInvalidArgument(DecodeLogits(mask).status()));
}

}  // namespace
}  // namespace semsam::client
