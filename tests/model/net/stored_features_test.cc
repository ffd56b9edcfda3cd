// The tensors of stored embeddings, on both paths and between them.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "model/net/embedding_storage.h"
#include "model/net/load_model.h"
#include "model/ops/cpu/kernels.h"
#include "tests/model/net/segmenter_fixture.h"

namespace semsam {
namespace {

using testing::MakeImage;

constexpr ImageSize kSize = {100, 130};

class StoredFeatures : public ::testing::Test {
 protected:
  static SemanticSam& Network(ops::Path path) {
    static const LoadedModel native = *LoadModel("formula:swin-tiny", at::kCPU, ops::Path::kNative);
    static const LoadedModel reference =
        *LoadModel("formula:swin-tiny", at::kCPU, ops::Path::kReference);
    return *(path == ops::Path::kNative ? native : reference).network;
  }

  static ImageFeatures Encode(ops::Path path) {
    const Rgb8Image image = MakeImage(kSize, 1);
    const at::Tensor pixels = at::tensor(at::ArrayRef<uint8_t>(image.pixels), at::kByte)
                                  .view({1, kSize.height, kSize.width, 3});
    const SemanticSam& network = Network(path);
    return network.Encode(network.Preprocess(pixels, PaddedSize(network.config(), kSize))).front();
  }

  static StoredEmbedding Pack(const ImageFeatures& features, StorageFormat format) {
    absl::StatusOr<std::string> bytes = PackFeatures(features, kSize, format);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return {.format = format, .network_size = kSize, .bytes = *std::move(bytes)};
  }

  static ImageFeatures Unpack(ops::Path path, const StoredEmbedding& stored) {
    absl::StatusOr<ImageFeatures> features = UnpackFeatures(Network(path), stored);
    EXPECT_TRUE(features.ok()) << features.status();
    return *std::move(features);
  }

  c10::InferenceMode inference_;
};

double Largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

TEST_F(StoredFeatures, KeepTheirPyramid) {
  for (const ops::Path path : {ops::Path::kNative, ops::Path::kReference}) {
    const ImageFeatures features = Encode(path);
    const ImageFeatures loaded = Unpack(path, Pack(features, StorageFormat::kFp32));
    EXPECT_EQ(loaded.grid, features.grid);
    EXPECT_EQ(loaded.memory.levels, features.memory.levels);
    EXPECT_TRUE(at::equal(loaded.memory.memory, features.memory.memory));
    EXPECT_EQ(loaded.mask_panels.defined(), features.mask_panels.defined());
    EXPECT_EQ(loaded.mask_features.defined(), features.mask_features.defined());
  }
}

TEST_F(StoredFeatures, AsHalvesAreOffByHalfAStepAtMost) {
  const ImageFeatures features = Encode(ops::Path::kNative);
  const ImageFeatures loaded = Unpack(ops::Path::kNative, Pack(features, StorageFormat::kFp16));
  for (const auto& [ours, original] : {std::pair{loaded.memory.memory, features.memory.memory},
                                       {loaded.mask_panels, features.mask_panels}}) {
    const at::Tensor bound = original.abs() / 2048 + 0x1p-25;
    EXPECT_LE(Largest((ours - original) / bound), 1);
    EXPECT_TRUE(at::equal(ours, original.to(at::kHalf).to(at::kFloat)));
  }
}

TEST_F(StoredFeatures, AsBytesAreOffByHalfAStepOfTheirChannelAtMost) {
  for (const ops::Path path : {ops::Path::kNative, ops::Path::kReference}) {
    const ImageFeatures features = Encode(path);
    const ImageFeatures loaded = Unpack(path, Pack(features, StorageFormat::kInt8));
    const at::Tensor memory_step = features.memory.memory.abs().amax(0, true) / 127;
    EXPECT_LE(Largest((loaded.memory.memory - features.memory.memory) / memory_step), 0.501);
    // What a ReLU left is never negative, and has steps half as wide.
    const bool panels = features.mask_panels.defined();
    const at::Tensor original = panels ? features.mask_panels : features.mask_features.unsqueeze(2);
    const at::Tensor ours = panels ? loaded.mask_panels : loaded.mask_features.unsqueeze(2);
    const at::Tensor step = original.abs().amax({0, 2}, true) / (panels ? 255 : 127);
    EXPECT_LE(Largest((ours - original) / step.clamp_min(1e-30)), 0.501);
  }
}

TEST_F(StoredFeatures, OfAnotherProcessorAreBroughtIntoTheOwnOrder) {
  const ImageFeatures features = Encode(ops::Path::kNative);
  const int64_t own = ops::cpu::BestKernels().panel_width;
  const int64_t channels = features.mask_panels.size(1);
  const at::Tensor rows = features.mask_panels.permute({0, 2, 1}).reshape({-1, channels});
  for (const int64_t width : {8, 16, 32, 64}) {
    if (width == own) continue;
    ImageFeatures other = features;
    other.mask_panels = rows.view({-1, width, channels}).permute({0, 2, 1}).contiguous();
    const ImageFeatures loaded = Unpack(ops::Path::kNative, Pack(other, StorageFormat::kFp32));
    EXPECT_TRUE(at::equal(loaded.mask_panels, features.mask_panels)) << width;
  }
}

TEST_F(StoredFeatures, OfTheCpuKernelsServeAModelWithoutThem) {
  const ImageFeatures loaded =
      Unpack(ops::Path::kReference, Pack(Encode(ops::Path::kNative), StorageFormat::kFp32));
  const ImageFeatures own = Encode(ops::Path::kReference);
  EXPECT_FALSE(loaded.mask_panels.defined());
  EXPECT_LT(Largest(loaded.memory.memory - own.memory.memory), 1e-3);
  EXPECT_LT(Largest(loaded.mask_features - own.mask_features), 1e-3);
}

TEST_F(StoredFeatures, WithoutTheCpuKernelsAreRefusedByAModelOnThem) {
  const StoredEmbedding stored = Pack(Encode(ops::Path::kReference), StorageFormat::kFp16);
  const absl::Status status = UnpackFeatures(Network(ops::Path::kNative), stored).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST_F(StoredFeatures, ThatAreNotFiniteCannotBeRounded) {
  for (const float broken : {NAN, INFINITY}) {
    ImageFeatures features = Encode(ops::Path::kNative);
    features.mask_panels = features.mask_panels.clone();
    features.mask_panels.flatten()[77] = broken;
    for (const StorageFormat format : {StorageFormat::kFp16, StorageFormat::kInt8}) {
      EXPECT_EQ(PackFeatures(features, kSize, format).status().code(), absl::StatusCode::kInternal);
    }
    const ImageFeatures loaded = Unpack(ops::Path::kNative, Pack(features, StorageFormat::kFp32));
    EXPECT_EQ(std::memcmp(loaded.mask_panels.const_data_ptr(),
                          features.mask_panels.const_data_ptr(), features.mask_panels.nbytes()),
              0);
  }
}

}  // namespace
}  // namespace semsam
