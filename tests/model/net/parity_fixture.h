// Networks of the parity weights and their images, shared by the parity tests.
#ifndef SEMSAM_TESTS_MODEL_NET_PARITY_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_NET_PARITY_FIXTURE_H_

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "model/image/decode_image.h"
#include "model/net/load_model.h"
#include "model/net/prompt_tensors.h"
#include "tests/support/golden.h"

namespace semsam::testing {

inline const SemanticSam& ParityNetwork(char variant, ops::Path path) {
  static std::map<std::pair<char, ops::Path>, LoadedModel>* models =
      new std::map<std::pair<char, ops::Path>, LoadedModel>();
  const auto key = std::pair(variant, path);
  if (!models->contains(key)) {
    const std::string manifest =
        std::string(SEMSAM_PARITY_DIR "/manifests/manifest_swin_") + variant + ".tsv";
    absl::StatusOr<LoadedModel> model = LoadModel(manifest, at::kCPU, path);
    EXPECT_TRUE(model.ok()) << model.status();
    models->emplace(key, *std::move(model));
  }
  return *models->at(key).network;
}

inline Rgb8Image ParityImage(char name) {
  const std::map<char, std::string> files = {
      {'a', "img_a_256x320.png"}, {'b', "img_b_224x224.png"}, {'c', "img_c_200x301.png"}};
  std::ifstream file(SEMSAM_PARITY_DIR "/images/" + files.at(name), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  absl::StatusOr<Rgb8Image> image = DecodeImage(bytes, DecodeLimits{});
  EXPECT_TRUE(image.ok()) << image.status();
  return *image;
}

// One image through backbone and pixel decoder.
struct EncodedImage {
  ImageGeometry geometry;  // original == network: the goldens do no resize
  std::array<at::Tensor, 4> backbone;
  PixelFeatures pixel;
  ImageFeatures features;
};

inline EncodedImage EncodeParityImage(const SemanticSam& network, char name) {
  const Rgb8Image image = ParityImage(name);
  EncodedImage result;
  result.geometry = {image.size, image.size, PaddedSize(network.config(), image.size)};
  const at::Tensor pixels = at::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                                          {1, image.size.height, image.size.width, 3}, at::kByte);
  result.backbone = network.backbone().Forward(network.Preprocess(pixels, result.geometry.padded));
  result.pixel = network.pixel_decoder().Forward(result.backbone);
  result.features = network.Finish(result.pixel).front();
  return result;
}

// Prompts from boxes [P, 4] (cx, cy, w, h relative to the unpadded image) and rows
// of the point-or-box embedding.
inline std::vector<Prompt> MakePrompts(const at::Tensor& boxes, const std::vector<int64_t>& rows) {
  std::vector<Prompt> prompts;
  const at::Tensor values = boxes.contiguous();
  for (size_t i = 0; i < rows.size(); ++i) {
    const float* box = values.const_data_ptr<float>() + 4 * i;
    prompts.push_back({box[0], box[1], box[2], box[3], static_cast<int>(rows[i])});
  }
  return prompts;
}

// Runs prompts on one image, all layers.
inline DecoderOutput RunPrompts(const SemanticSam& network, const EncodedImage& image,
                                const at::Tensor& boxes, const std::vector<int64_t>& rows,
                                bool joint, const ForwardHook& hook = nullptr) {
  const std::vector<ops::PyramidMemory> memories = {image.features.memory};
  const std::vector<Prompt> prompts = MakePrompts(boxes, rows);
  const DecoderInput input = {
      .images = memories,
      .image_of_prompt = std::vector<int>(prompts.size(), 0),
      .boxes = PromptBoxes(prompts, image.geometry.network, image.geometry.padded),
      .point_or_box = PromptRows(prompts),
      .prompts_per_group = joint ? static_cast<int64_t>(prompts.size()) : 1};
  return network.decoder().Forward(input, /*every_layer=*/true, hook);
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_NET_PARITY_FIXTURE_H_
