// Each row of ours stands beside the plain way to do the same, in one run:
//   image_benchmark --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include "model/image/containment.h"
#include "model/image/decode_image.h"
#include "model/image/mask_codec.h"
#include "model/image/mask_tail.h"
#include "model/image/resize.h"
#include "model/image/run_lengths.h"
#include "tests/model/image/image_test_util.h"

namespace semsam {
namespace {

constexpr ImageSize kPhoto = {3000, 4000};  // 12 Mpx
constexpr ImageSize kGrid = {160, 216};
constexpr ImageGeometry kGeometry = {
    .original = {1080, 1440}, .network = {640, 853}, .padded = {640, 864}};

const Rgb8Image& Photo() {
  static const Rgb8Image photo = testing::MakeImage(kPhoto);
  return photo;
}

cv::Mat AsMat(const Rgb8Image& image) {
  return {image.size.height, image.size.width, CV_8UC3, const_cast<uint8_t*>(image.pixels.data())};
}

void DecodeJpegPhoto(benchmark::State& state) {
  const std::vector<uint8_t> bytes = testing::Encode(Photo(), ".jpg");
  for (auto _ : state) benchmark::DoNotOptimize(DecodeImage(bytes, DecodeLimits{})->pixels.data());
}
void DecodeJpegPhotoOpenCv(benchmark::State& state) {
  const std::vector<uint8_t> bytes = testing::Encode(Photo(), ".jpg");
  for (auto _ : state) {
    cv::Mat image = cv::imdecode(bytes, cv::IMREAD_COLOR);
    cv::cvtColor(image, image, cv::COLOR_BGR2RGB);
    benchmark::DoNotOptimize(image.data);
  }
}

void ResizePhotoTo640(benchmark::State& state) {
  const ImageSize size = NetworkSize(kPhoto, 640);
  for (auto _ : state) benchmark::DoNotOptimize(ResizeBicubic(Photo(), size).pixels.data());
}
// Not the same pixels: OpenCV's area average, its antialiased way to make smaller.
void ResizePhotoTo640OpenCvArea(benchmark::State& state) {
  const ImageSize size = NetworkSize(kPhoto, 640);
  for (auto _ : state) {
    cv::Mat out;
    cv::resize(AsMat(Photo()), out, {size.width, size.height}, 0, 0, cv::INTER_AREA);
    benchmark::DoNotOptimize(out.data);
  }
}

// Six masks of a click to compressed run lengths.
template <typename Tail>
void RunTail(benchmark::State& state, Tail tail) {
  std::vector<std::vector<float>> masks;
  for (uint32_t seed = 0; seed < 6; ++seed) masks.push_back(testing::BlobLogits(kGrid, seed));
  for (auto _ : state) {
    for (const auto& logits : masks) {
      const std::string text = EncodeCocoString(tail(LogitsView{kGrid, logits.data()}));
      benchmark::DoNotOptimize(text.data());
    }
  }
}

RunLengths PlainTail(LogitsView logits, bool to_original) {
  cv::Mat map(logits.size.height, logits.size.width, CV_32F, const_cast<float*>(logits.data));
  const ImageSize padded = kGeometry.padded;
  cv::Mat up;
  cv::resize(map, up, {padded.width, padded.height}, 0, 0, cv::INTER_LINEAR);
  up = up(cv::Rect(0, 0, kGeometry.network.width, kGeometry.network.height));
  if (to_original) {
    const ImageSize original = kGeometry.original;
    cv::Mat large;
    cv::resize(up, large, {original.width, original.height}, 0, 0, cv::INTER_CUBIC);
    up = large;
  }
  // Threshold and run lengths in one column-major loop.
  RunLengths runs{.size = {up.rows, up.cols}, .counts = {0}};
  bool value = false;
  for (int x = 0; x < up.cols; ++x) {
    for (int y = 0; y < up.rows; ++y) {
      const bool pixel = up.at<float>(y, x) > 0;
      if (pixel != value) runs.counts.push_back(0);
      value = pixel;
      ++runs.counts.back();
    }
  }
  return runs;
}

void SixMasksAtNetworkSize(benchmark::State& state) {
  RunTail(state, [](LogitsView logits) {
    return LogitsToRunLengths(logits, kGeometry, MaskResolution::kNetwork);
  });
}
void SixMasksAtNetworkSizePlain(benchmark::State& state) {
  RunTail(state, [](LogitsView logits) { return PlainTail(logits, false); });
}
void SixMasksAtOriginalSize(benchmark::State& state) {
  RunTail(state, [](LogitsView logits) {
    return LogitsToRunLengths(logits, kGeometry, MaskResolution::kOriginal);
  });
}
void SixMasksAtOriginalSizePlain(benchmark::State& state) {
  RunTail(state, [](LogitsView logits) { return PlainTail(logits, true); });
}
void StabilityOfOneMask(benchmark::State& state) {
  const std::vector<float> logits = testing::BlobLogits(kGrid, 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(StabilityScore({kGrid, logits.data()}, kGeometry));
  }
}
void StabilityOfOneMaskPlain(benchmark::State& state) {
  const std::vector<float> logits = testing::BlobLogits(kGrid, 1);
  for (auto _ : state) {
    int64_t strict = 0, loose = 0;
    for (const float value : UpsampleLogits({kGrid, logits.data()}, kGeometry)) {
      strict += value > 1;
      loose += value > -1;
    }
    benchmark::DoNotOptimize(static_cast<float>(strict) / static_cast<float>(loose));
  }
}

// As everything-mode leaves them: 1,000 masks of one image.
void ParentsOfAThousandMasks(benchmark::State& state) {
  std::vector<RunLengths> masks;
  std::vector<const RunLengths*> pointers;
  for (uint32_t i = 0; i < 1000; ++i) {
    const std::vector<float> logits = testing::BlobLogits(kGrid, i);
    masks.push_back(
        LogitsToRunLengths({kGrid, logits.data()}, kGeometry, MaskResolution::kNetwork));
  }
  for (const RunLengths& mask : masks) pointers.push_back(&mask);
  for (auto _ : state) benchmark::DoNotOptimize(FindParents(pointers, 0.9));
}

BENCHMARK(ParentsOfAThousandMasks)->Unit(benchmark::kMillisecond);
BENCHMARK(DecodeJpegPhoto)->Unit(benchmark::kMillisecond);
BENCHMARK(DecodeJpegPhotoOpenCv)->Unit(benchmark::kMillisecond);
BENCHMARK(ResizePhotoTo640)->Unit(benchmark::kMillisecond);
BENCHMARK(ResizePhotoTo640OpenCvArea)->Unit(benchmark::kMillisecond);
BENCHMARK(SixMasksAtNetworkSize)->Unit(benchmark::kMicrosecond);
BENCHMARK(SixMasksAtNetworkSizePlain)->Unit(benchmark::kMicrosecond);
BENCHMARK(SixMasksAtOriginalSize)->Unit(benchmark::kMicrosecond);
BENCHMARK(SixMasksAtOriginalSizePlain)->Unit(benchmark::kMicrosecond);
BENCHMARK(StabilityOfOneMask)->Unit(benchmark::kMicrosecond);
BENCHMARK(StabilityOfOneMaskPlain)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace semsam
