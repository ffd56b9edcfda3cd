#include "model/image/decode_image.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "model/base/errors.h"
#include "model/image/exif_orientation.h"
#include "model/image/image_header.h"
#include "tests/model/image/image_test_util.h"
#include "tests/model/image/pil_samples.h"

namespace semsam {
namespace {

using testing::Encode;
using testing::kPilSamples;
using testing::MakeImage;
using testing::PilSample;

void ExpectImageError(const absl::Status& status, std::string_view reason,
                      const std::string& what) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << what;
  EXPECT_EQ(ErrorField(status), "image") << what;
  EXPECT_EQ(ErrorReason(status), reason) << what << ": " << status;
}

std::vector<uint8_t> BigEndian32(uint32_t value) {
  return {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
          static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

void Append(std::vector<uint8_t>& to, std::span<const uint8_t> more) {
  to.insert(to.end(), more.begin(), more.end());
}

// An EXIF block with nothing but an orientation.
std::vector<uint8_t> Exif(uint8_t orientation) {
  return {'M', 'M', 0, 42, 0, 0, 0,           8, 0, 1, 0x01, 0x12, 0,
          3,   0,   0, 0,  1, 0, orientation, 0, 0, 0, 0,    0,    0};
}

// `jpeg` with an EXIF segment behind its first marker.
std::vector<uint8_t> JpegWithOrientation(const std::vector<uint8_t>& jpeg, uint8_t orientation) {
  const std::vector<uint8_t> exif = Exif(orientation);
  std::vector<uint8_t> out(jpeg.begin(), jpeg.begin() + 2);
  const uint8_t head[] = {0xFF, 0xE1, 0, static_cast<uint8_t>(8 + exif.size()), 'E', 'x', 'i',
                          'f',  0,    0};
  Append(out, head);
  Append(out, exif);
  Append(out, std::span(jpeg).subspan(2));
  return out;
}

// A PNG that states a size and ends there.
std::vector<uint8_t> PngHeaderOnly(uint32_t width, uint32_t height) {
  std::vector<uint8_t> png = {0x89, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
  Append(png, BigEndian32(width));
  Append(png, BigEndian32(height));
  Append(png, std::vector<uint8_t>{8, 2, 0, 0, 0, 0, 0, 0, 0});
  return png;
}

TEST(DecodeImage, UnusualKindsGiveWhatPilGives) {
  for (const PilSample& sample : kPilSamples) {
    const absl::StatusOr<Rgb8Image> image = DecodeImage(sample.file, DecodeLimits{});
    ASSERT_TRUE(image.ok()) << sample.name << ": " << image.status();
    EXPECT_EQ(image->size, sample.size) << sample.name;
    EXPECT_EQ(image->pixels, std::vector<uint8_t>(sample.pixels.begin(), sample.pixels.end()))
        << sample.name;
  }
}

TEST(DecodeImage, LosslessFormatsKeepEveryPixel) {
  const Rgb8Image image = MakeImage({37, 53});
  for (const char* extension : {".png", ".bmp", ".tiff", ".webp"}) {
    const std::vector<int> options = std::string(extension) == ".webp"
                                         ? std::vector<int>{cv::IMWRITE_WEBP_QUALITY, 101}
                                         : std::vector<int>{};
    const auto decoded = DecodeImage(Encode(image, extension, options), DecodeLimits{});
    ASSERT_TRUE(decoded.ok()) << extension << ": " << decoded.status();
    EXPECT_EQ(decoded->size, image.size) << extension;
    EXPECT_EQ(decoded->pixels, image.pixels) << extension;
  }
}

TEST(DecodeRgba, KeepsAlphaAndFillsItWhereThereIsNone) {
  cv::Mat cutout(5, 7, CV_8UC4);
  for (int i = 0; i < 35; ++i) {
    cutout.at<cv::Vec4b>(i / 7, i % 7) =
        cv::Vec4b(static_cast<uint8_t>(3 * i), static_cast<uint8_t>(200 - i),
                  static_cast<uint8_t>(5 * i), static_cast<uint8_t>(1 + 7 * i));
  }
  cv::Mat rgba;
  cv::cvtColor(cutout, rgba, cv::COLOR_BGRA2RGBA);
  std::vector<uint8_t> png;
  ASSERT_TRUE(cv::imencode(".png", cutout, png));
  const std::string bytes(png.begin(), png.end());
  const auto decoded = DecodeRgba(bytes, DecodeLimits{});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->size, (ImageSize{5, 7}));
  EXPECT_EQ(decoded->pixels, std::vector<uint8_t>(rgba.datastart, rgba.dataend));

  const Rgb8Image plain = MakeImage({4, 6});
  const std::vector<uint8_t> webp = Encode(plain, ".webp", {cv::IMWRITE_WEBP_QUALITY, 101});
  const auto opaque = DecodeRgba(std::string(webp.begin(), webp.end()), DecodeLimits{});
  ASSERT_TRUE(opaque.ok()) << opaque.status();
  for (size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(opaque->pixels[4 * i], plain.pixels[3 * i]);
    EXPECT_EQ(opaque->pixels[4 * i + 3], 255);
  }
}

TEST(DecodeRgba, RefusesOtherFormatsAndWhatIsTooLargeOrCut) {
  const auto text = [](const std::vector<uint8_t>& file) {
    return std::string(file.begin(), file.end());
  };
  const std::string png = text(Encode(MakeImage({40, 24}), ".png"));
  EXPECT_EQ(DecodeRgba(text(Encode(MakeImage({40, 24}), ".jpg")), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeRgba(png, {.max_pixels = 959}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DecodeRgba(png.substr(0, 20), {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DecodeImage, JpegEqualsTheLibraryBehindOpenCv) {
  for (const int progressive : {0, 1}) {
    const std::vector<uint8_t> jpeg =
        Encode(MakeImage({61, 47}), ".jpg", {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
    const auto decoded = DecodeImage(jpeg, DecodeLimits{});
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    cv::Mat expected = cv::imdecode(jpeg, cv::IMREAD_COLOR);
    cv::cvtColor(expected, expected, cv::COLOR_BGR2RGB);
    EXPECT_EQ(decoded->pixels, std::vector<uint8_t>(expected.datastart, expected.dataend));
  }
}

TEST(DecodeImage, JpegOrientationTurnsThePictureAsTheStandardSays) {
  const std::vector<uint8_t> jpeg = Encode(MakeImage({40, 24}), ".jpg");
  const Rgb8Image stored = *DecodeImage(jpeg, DecodeLimits{});
  // Where the stored top left pixel goes: {bottom, right} by orientation.
  const bool corner[9][2] = {{}, {0, 0}, {0, 1}, {1, 1}, {1, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}};
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    const auto image = DecodeImage(JpegWithOrientation(jpeg, orientation), DecodeLimits{});
    ASSERT_TRUE(image.ok()) << image.status();
    const bool turned = orientation >= 5;
    EXPECT_EQ(image->size, (turned ? ImageSize{24, 40} : ImageSize{40, 24})) << int{orientation};
    const auto& [bottom, right] = corner[orientation];
    const int y = bottom ? image->size.height - 1 : 0;
    const int x = right ? image->size.width - 1 : 0;
    EXPECT_TRUE(std::equal(stored.pixels.begin(), stored.pixels.begin() + 3, image->row(y) + 3 * x))
        << int{orientation};
    // The next pixel of the stored first row lies beside it, or below or above it.
    const int next_y = turned ? y + (bottom ? -1 : 1) : y;
    const int next_x = turned ? x : x + (right ? -1 : 1);
    EXPECT_TRUE(std::equal(stored.pixels.begin() + 3, stored.pixels.begin() + 6,
                           image->row(next_y) + 3 * next_x))
        << int{orientation};
  }
}

TEST(DecodeImage, PngAndWebpOrientationIsRead) {
  const Rgb8Image image = MakeImage({9, 14});
  std::vector<uint8_t> png = Encode(image, ".png");
  // eXIf before the end chunk; its checksum is not read.
  std::vector<uint8_t> chunk = BigEndian32(26);
  Append(chunk, std::vector<uint8_t>{'e', 'X', 'I', 'f'});
  Append(chunk, Exif(6));
  Append(chunk, std::vector<uint8_t>(4));
  png.insert(png.end() - 12, chunk.begin(), chunk.end());
  const auto turned = DecodeImage(png, DecodeLimits{});
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_EQ(turned->size, (ImageSize{14, 9}));
  EXPECT_EQ(turned->pixels, ApplyOrientation(image, 6).pixels);

  // Wrap a simple WebP into the extended layout.
  const std::vector<uint8_t> simple = Encode(image, ".webp", {cv::IMWRITE_WEBP_QUALITY, 101});
  std::vector<uint8_t> webp(simple.begin(), simple.begin() + 12);
  Append(webp,
         std::vector<uint8_t>{'V', 'P', '8', 'X', 10, 0, 0, 0, 0x08, 0, 0, 0, 13, 0, 0, 8, 0, 0});
  Append(webp, std::span(simple).subspan(12));
  Append(webp, std::vector<uint8_t>{'E', 'X', 'I', 'F', 26, 0, 0, 0});
  Append(webp, Exif(3));
  const uint32_t riff = static_cast<uint32_t>(webp.size() - 8);
  for (int i = 0; i < 4; ++i) webp[4 + i] = static_cast<uint8_t>(riff >> 8 * i);
  const auto rotated = DecodeImage(webp, DecodeLimits{});
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_EQ(rotated->pixels, ApplyOrientation(image, 3).pixels);
}

TEST(DecodeImage, NonsenseOrientationIsIgnored) {
  const std::vector<uint8_t> jpeg = Encode(MakeImage({8, 12}), ".jpg");
  for (const uint8_t orientation : {0, 9, 255}) {
    const auto image = DecodeImage(JpegWithOrientation(jpeg, orientation), DecodeLimits{});
    ASSERT_TRUE(image.ok());
    EXPECT_EQ(image->size, (ImageSize{8, 12}));
  }
}

TEST(DecodeImage, ATooLargeHeaderIsRefusedBeforeThePixelsAreMissed) {
  ExpectImageError(DecodeImage(PngHeaderOnly(100000, 100000), DecodeLimits{}).status(),
                   reason::kImageTooLarge, "png");
  ExpectImageError(DecodeImage(PngHeaderOnly(0xFFFFFFFF, 0xFFFFFFFF), DecodeLimits{}).status(),
                   reason::kImageTooLarge, "png of 2^32");
  ExpectImageError(DecodeImage(PngHeaderOnly(70000, 1), DecodeLimits{}).status(),
                   reason::kImageTooLarge, "a long side");
  ExpectImageError(DecodeImage(PngHeaderOnly(0, 5), DecodeLimits{}).status(),
                   reason::kImageUndecodable, "no pixels");
}

TEST(DecodeImage, EveryFormatObeysThePixelLimit) {
  const Rgb8Image image = MakeImage({20, 30});
  for (const char* extension : {".jpg", ".png", ".webp", ".bmp", ".tiff"}) {
    const std::vector<uint8_t> bytes = Encode(image, extension);
    EXPECT_TRUE(DecodeImage(bytes, {.max_pixels = 600}).ok()) << extension;
    ExpectImageError(DecodeImage(bytes, {.max_pixels = 599}).status(), reason::kImageTooLarge,
                     extension);
    ExpectImageError(DecodeImage(bytes, {.max_side_px = 29}).status(), reason::kImageTooLarge,
                     extension);
    ExpectImageError(
        DecodeImage(bytes, {.max_encoded_bytes = static_cast<int64_t>(bytes.size()) - 1}).status(),
        reason::kImageTooLarge, extension);
  }
}

TEST(DecodeImage, WhatIsNoImageIsRefused) {
  for (const std::string& bytes :
       {std::string(), std::string("hello"), std::string("GIF89a\1\0\1\0", 10),
        std::string("\xFF\xD8\xFF"), std::string("BM"), std::string("RIFF____WEBP"),
        std::string("II*\0", 4), std::string(1000, '\0'), std::string(1000, '\xFF')}) {
    ExpectImageError(DecodeImage(std::string_view(bytes), DecodeLimits{}).status(),
                     reason::kImageUndecodable, bytes.substr(0, 12));
  }
}

TEST(DecodeImage, ATruncatedFileIsAnErrorInEveryFormat) {
  const Rgb8Image image = MakeImage({48, 64});
  for (const char* extension : {".jpg", ".png", ".webp", ".bmp", ".tiff"}) {
    const std::vector<uint8_t> bytes = Encode(image, extension);
    for (const double part : {0.2, 0.5, 0.9, 0.99}) {
      const std::span<const uint8_t> head(bytes.data(), static_cast<size_t>(bytes.size() * part));
      ExpectImageError(DecodeImage(head, DecodeLimits{}).status(), reason::kImageUndecodable,
                       std::string(extension) + " cut at " + std::to_string(part));
    }
  }
}

TEST(DecodeImage, JpegThatEndsEarlyWithAnEndMarkerIsStillTruncated) {
  std::vector<uint8_t> jpeg = Encode(MakeImage({64, 64}), ".jpg");
  jpeg.resize(jpeg.size() * 2 / 3);
  jpeg.push_back(0xFF);
  jpeg.push_back(0xD9);
  ExpectImageError(DecodeImage(jpeg, DecodeLimits{}).status(), reason::kImageUndecodable, "jpeg");
}

TEST(DecodeImage, LimitsAreValidated) {
  EXPECT_TRUE(Validate(DecodeLimits{}).ok());
  EXPECT_EQ(ErrorField(Validate({.max_encoded_bytes = 0})), "max_encoded_bytes");
  EXPECT_EQ(ErrorField(Validate({.max_pixels = -1})), "max_pixels");
  EXPECT_EQ(ErrorField(Validate({.max_side_px = 0})), "max_side_px");
}

TEST(DecodeImage, ThreadsDoNotDisturbEachOther) {
  std::vector<std::vector<uint8_t>> files;
  for (const char* extension : {".jpg", ".png", ".webp", ".bmp", ".tiff"}) {
    files.push_back(Encode(MakeImage({33, 45}), extension));
  }
  files.push_back({'B', 'M', 1, 2, 3});
  const auto decode_all = [&files] {
    std::vector<std::vector<uint8_t>> pixels;
    for (const auto& file : files) {
      const auto image = DecodeImage(file, DecodeLimits{});
      pixels.push_back(image.ok() ? image->pixels : std::vector<uint8_t>());
    }
    return pixels;
  };
  const auto expected = decode_all();
  std::vector<std::vector<std::vector<uint8_t>>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) result = decode_all();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

TEST(ReadImageHeader, SaysWhatTheFileHolds) {
  const Rgb8Image image = MakeImage({20, 30});
  const std::pair<const char*, ImageFormat> formats[] = {{".jpg", ImageFormat::kJpeg},
                                                         {".png", ImageFormat::kPng},
                                                         {".webp", ImageFormat::kWebp},
                                                         {".bmp", ImageFormat::kBmp},
                                                         {".tiff", ImageFormat::kTiff}};
  for (const auto& [extension, format] : formats) {
    const auto header = ReadImageHeader(Encode(image, extension));
    ASSERT_TRUE(header.ok()) << extension << ": " << header.status();
    EXPECT_EQ(header->format, format) << extension;
    EXPECT_EQ(header->size, image.size) << extension;
    EXPECT_EQ(header->channels, 3) << extension;
    EXPECT_EQ(header->bits_per_sample, 8) << extension;
    EXPECT_EQ(header->orientation, 1) << extension;
  }
}

}  // namespace
}  // namespace semsam
