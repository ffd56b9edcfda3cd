#include "model/tools/inspect/dump_command.h"

#include <c10/core/InferenceMode.h>

#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/decode_image.h"
#include "model/image/resize.h"
#include "model/net/load_model.h"
#include "model/net/prompt_tensors.h"
#include "model/tools/inspect/array_writer.h"
#include "model/tools/inspect/dump_words.h"
#include "model/tools/inspect/prompts_json.h"
#include "model/tools/inspect/read_file.h"
#include "model/tools/program/command_line.h"
#include "model/torch/catch.h"
#include "model/torch/runtime.h"

namespace semsam {
namespace {

struct Options {
  std::string weights;
  std::string image;
  std::string prompts;
  std::string out;
  std::string device = "cpu";
  bool resize = false;
  bool reference = false;
  bool every_layer = false;
  WordOptions words;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("weights", "W", kWeightsHelp, &options.weights, Need::kRequired);
  line.AddText("image", "I", "JPEG, PNG, WebP, BMP or TIFF", &options.image, Need::kRequired);
  line.AddText("prompts", "P.json",
               "{\"prompts\": {NAME: {\"points_cxcywh\": [[cx,cy,w,h], ...], \"pb\": [0, ...], "
               "\"joint\": false}}}, relative to the unpadded image",
               &options.prompts, Need::kRequired);
  line.AddText("out", "DIR", "folder for the .npy files", &options.out, Need::kRequired);
  line.AddText("device", "D", "cpu, cuda or cuda:N; default: cpu", &options.device,
               Need::kOptional);
  line.AddFlag("resize", "resize the image as the service does; default: take it as it is",
               &options.resize);
  line.AddFlag("reference", "LibTorch's own operators in place of our kernels", &options.reference);
  line.AddFlag("every_layer", "also NAME_boxes_all, NAME_ious_all, NAME_hs_raw, NAME_hs_final",
               &options.every_layer);
  AddWordOptions(options.words, line);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

struct Encoded {
  ImageSize network;
  ImageSize padded;
  ImageFeatures features;
};

absl::StatusOr<Encoded> EncodeAndWrite(const SemanticSam& network, const Rgb8Image& image,
                                       ArrayWriter& writer) {
  Encoded encoded{.network = image.size, .padded = PaddedSize(network.config(), image.size)};
  const at::Tensor pixels = at::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                                          {1, image.size.height, image.size.width, 3}, at::kByte);
  const auto features = network.backbone().Forward(network.Preprocess(pixels, encoded.padded));
  const PixelFeatures pixel = network.pixel_decoder().Forward(features);
  const auto nchw = [](const at::Tensor& x) { return x.permute({0, 3, 1, 2}); };
  for (size_t i = 0; i < features.size(); ++i) {
    SEMSAM_RETURN_IF_ERROR(writer.Write(absl::StrCat("res", i + 2), nchw(features[i])));
  }
  for (size_t i = 0; i < pixel.multi_scale.size(); ++i) {
    SEMSAM_RETURN_IF_ERROR(writer.Write(absl::StrCat("ms", i), nchw(pixel.multi_scale[i])));
  }
  SEMSAM_RETURN_IF_ERROR(writer.Write(
      "mask_features", nchw(network.pixel_decoder().mask_projection()(pixel.mask_map))));
  encoded.features = network.Finish(pixel).front();
  return encoded;
}

DecoderInput MakeInput(const Encoded& image, const std::vector<ops::PyramidMemory>& memories,
                       const PromptGroup& group, const at::Device& device) {
  const int64_t count = static_cast<int64_t>(group.prompts.size());
  return {.images = memories,
          .image_of_prompt = std::vector<int>(group.prompts.size(), 0),
          .boxes = PromptBoxes(group.prompts, image.network, image.padded).to(device),
          .point_or_box = PromptRows(group.prompts).to(device),
          .prompts_per_group = group.joint ? count : 1};
}

absl::Status DecodeAndWrite(const SemanticSam& network, const Encoded& image,
                            const WordEmbeddings& words, const PromptGroup& group,
                            const Options& options, ArrayWriter& writer) {
  const std::vector<ops::PyramidMemory> memories = {image.features.memory};
  const DecoderInput input =
      MakeInput(image, memories, group, image.features.memory.memory.device());
  const DecoderOutput output = network.decoder().Forward(input, /*every_layer=*/true);
  const auto heads = [&](const at::Tensor& queries, const at::Tensor& references) {
    return network.Predict({.queries = queries,
                            .box_queries = queries,
                            .references = references,
                            .centres = input.boxes.slice(1, 0, 2)},
                           image.features);
  };
  const Predictions last = heads(output.queries, output.last_reference);
  const int64_t prompts = static_cast<int64_t>(group.prompts.size());
  const auto write = [&](const char* what, const at::Tensor& tensor) {
    return writer.Write(absl::StrCat(group.name, "_", what), tensor);
  };
  SEMSAM_RETURN_IF_ERROR(write("pred_masks", last.masks));
  SEMSAM_RETURN_IF_ERROR(write("pred_ious", last.ious.view({prompts, -1})));
  SEMSAM_RETURN_IF_ERROR(write("pred_boxes", last.boxes));
  SEMSAM_RETURN_IF_ERROR(write("refs", at::stack(output.references)));
  SEMSAM_RETURN_IF_ERROR(
      WriteClassLogits(network.class_heads(), words, group.name, last.label_queries, writer));
  if (!options.every_layer) return absl::OkStatus();

  std::vector<at::Tensor> boxes, ious;
  for (size_t i = 0; i < output.layers.size(); ++i) {
    const Predictions said = heads(output.layers[i].twice, output.references[i]);
    boxes.push_back(said.boxes);
    ious.push_back(said.ious.view({prompts, -1}));
  }
  SEMSAM_RETURN_IF_ERROR(write("boxes_all", at::stack(boxes)));
  SEMSAM_RETURN_IF_ERROR(write("ious_all", at::stack(ious)));
  SEMSAM_RETURN_IF_ERROR(write("hs_raw", output.raw));
  return write("hs_final", output.queries);
}

absl::Status Dump(const Options& options, std::ostream& out) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string json, ReadFile(options.prompts));
  absl::StatusOr<std::vector<PromptGroup>> groups = ParsePrompts(json);
  if (!groups.ok()) return Annotate(groups.status(), options.prompts);
  SEMSAM_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(options.image));
  absl::StatusOr<Rgb8Image> image = DecodeImage(bytes, DecodeLimits{});
  if (!image.ok()) return Annotate(image.status(), options.image);

  ConfigureTorch({});
  SEMSAM_ASSIGN_OR_RETURN(const at::Device device, ParseDevice(options.device));
  SEMSAM_ASSIGN_OR_RETURN(
      const LoadedModel model,
      LoadModel(options.weights, device,
                options.reference ? ops::Path::kReference : ops::Path::kNative));
  if (options.resize) {
    image = ResizeBicubic(*image, NetworkSize(image->size, model.network->config().short_edge_px));
  }
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) return absl::UnavailableError("cannot make the folder " + options.out);

  c10::InferenceMode inference;
  ArrayWriter writer(options.out, out);
  SEMSAM_ASSIGN_OR_RETURN(const WordEmbeddings words,
                          EncodeAndWriteWords(model, options.words, writer));
  SEMSAM_ASSIGN_OR_RETURN(const Encoded encoded, EncodeAndWrite(*model.network, *image, writer));
  for (const PromptGroup& group : *groups) {
    SEMSAM_RETURN_IF_ERROR(DecodeAndWrite(*model.network, encoded, words, group, options, writer));
  }
  return absl::OkStatus();
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  absl::Status status = line.Parse(arguments);
  if (status.ok()) status = CheckWordOptions(options.words);
  if (!status.ok()) return UsageError(status);
  return CatchTorch([&] { return Dump(options, out); });
}

}  // namespace

Command DumpCommand() {
  return {.name = "dump",
          .summary = "Write features and prompt outputs of one image as NumPy files",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
