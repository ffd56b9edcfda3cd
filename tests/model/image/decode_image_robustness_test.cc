// Hostile bytes: whatever comes, the answer is an image or an error that names the
// field, and the process lives. Most useful under the sanitizers.
#include <gtest/gtest.h>

#include <random>

#include "model/base/errors.h"
#include "model/image/decode_image.h"
#include "tests/model/image/image_test_util.h"
#include "tests/model/image/pil_samples.h"

namespace semsam {
namespace {

struct File {
  std::string name;
  std::vector<uint8_t> bytes;
};

std::vector<File> SmallFiles() {
  std::vector<File> files;
  const Rgb8Image image = testing::MakeImage({11, 13});
  for (const char* extension : {".jpg", ".png", ".webp", ".bmp", ".tiff"}) {
    files.push_back({extension, testing::Encode(image, extension)});
  }
  files.push_back(
      {"progressive", testing::Encode(image, ".jpg", {cv::IMWRITE_JPEG_PROGRESSIVE, 1})});
  for (const testing::PilSample& sample : testing::kPilSamples) {
    files.push_back({sample.name, {sample.file.begin(), sample.file.end()}});
  }
  return files;
}

// Small limits, so that a header that lies costs little.
constexpr DecodeLimits kLimits = {.max_encoded_bytes = 1 << 20, .max_pixels = 1 << 20};

void ExpectImageOrNamedError(const std::vector<uint8_t>& bytes, const std::string& what) {
  const auto image = DecodeImage(bytes, kLimits);
  if (image.ok()) {
    EXPECT_EQ(image->pixels.size(), static_cast<size_t>(image->size.area()) * 3) << what;
  } else {
    EXPECT_EQ(ErrorField(image.status()), "image") << what << ": " << image.status();
  }
}

TEST(DecodeImageRobustness, EveryPrefixGivesAnImageOrAnError) {
  for (const File& file : SmallFiles()) {
    for (size_t length = 0; length < file.bytes.size(); ++length) {
      const std::vector<uint8_t> prefix(file.bytes.begin(), file.bytes.begin() + length);
      ExpectImageOrNamedError(prefix, file.name + " cut at " + std::to_string(length));
    }
  }
}

TEST(DecodeImageRobustness, FlippedBytesGiveAnImageOrAnError) {
  std::mt19937 random(20240607);
  for (const File& file : SmallFiles()) {
    const size_t header = std::min<size_t>(file.bytes.size(), 200);
    for (int i = 0; i < 2000; ++i) {
      std::vector<uint8_t> bytes = file.bytes;
      const int flips = 1 + static_cast<int>(random() % 3);
      for (int flip = 0; flip < flips; ++flip) {
        // TIFF keeps its directory behind the pixels: half of the flips go there.
        const size_t at = random() % header;
        bytes[random() % 2 ? at : bytes.size() - 1 - at] = static_cast<uint8_t>(random());
      }
      ExpectImageOrNamedError(bytes, file.name + " variant " + std::to_string(i));
    }
  }
}

TEST(DecodeImageRobustness, NoiseBehindAKnownSignatureGivesAnError) {
  std::mt19937 random(5);
  const std::string signatures[] = {"\xFF\xD8\xFF\xC0", "\x89PNG\r\n\x1A\n",
                                    std::string("RIFF\x10\0\0\0WEBPVP8X", 16), "BM",
                                    std::string("II*\0\x08\0\0\0", 8)};
  for (const std::string& signature : signatures) {
    for (int i = 0; i < 500; ++i) {
      std::vector<uint8_t> bytes(signature.begin(), signature.end());
      for (int k = 0; k < 100; ++k) bytes.push_back(static_cast<uint8_t>(random()));
      const auto image = DecodeImage(bytes, kLimits);
      ASSERT_FALSE(image.ok());
      EXPECT_EQ(ErrorField(image.status()), "image");
    }
  }
}

}  // namespace
}  // namespace semsam
