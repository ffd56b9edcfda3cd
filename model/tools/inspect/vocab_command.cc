#include "model/tools/inspect/vocab_command.h"

#include <c10/core/InferenceMode.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/decode_image.h"
#include "model/image/resize.h"
#include "model/net/load_model.h"
#include "model/net/vocabulary_run.h"
#include "model/tools/inspect/array_writer.h"
#include "model/tools/inspect/read_file.h"
#include "model/tools/inspect/vocab_outputs.h"
#include "model/tools/inspect/words_json.h"
#include "model/tools/program/command_line.h"
#include "model/torch/catch.h"
#include "model/torch/runtime.h"
#include "model/weights/npy.h"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

// Tokens of which the enc_*_rows tell all.
constexpr int64_t kShownTokens = 16;
constexpr int64_t kMaskQueries[] = {0, 1, 2, 5, 10, 25, 50, 100, 150, 200, 250, 299, 300, 337, 399};

struct Options {
  std::string weights;
  std::string image;
  std::string words;
  std::string text;
  std::string out;
  std::string device = "cpu";
  bool resize = false;
  bool reference = false;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("weights", "W", kWeightsHelp, &options.weights, Need::kRequired);
  line.AddText("image", "I", "JPEG, PNG, WebP, BMP or TIFF", &options.image, Need::kRequired);
  line.AddText("words", "W.json",
               "{\"classes\": [NAME, ...], \"things\": [CLASS INDEX, ...]} and, if wanted, "
               "\"parts\", \"mode\", \"presets\", \"output\", \"queries\", \"top_instances\", "
               "\"mask_queries\"",
               &options.words, Need::kRequired);
  line.AddText("text", "T.npy",
               "text embeddings of the classes, [classes, D] of unit norm; default: the model's "
               "own text encoder",
               &options.text, Need::kOptional);
  line.AddText("out", "DIR", "folder for the .npy files and results.json", &options.out,
               Need::kRequired);
  line.AddText("device", "D", "cpu, cuda or cuda:N; default: cpu", &options.device,
               Need::kOptional);
  line.AddFlag("resize", "resize the image as the service does; default: take it as it is",
               &options.resize);
  line.AddFlag("reference", "LibTorch's own operators in place of our kernels", &options.reference);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

absl::StatusOr<at::Tensor> ReadText(const std::string& path, int64_t words, int64_t width) {
  SEMSAM_ASSIGN_OR_RETURN(const NpyArray array, ReadNpy(path));
  if (array.dtype != DType::kFloat32 || array.shape != std::vector<int64_t>{words, width}) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": must be float32 [", words, ",", width, "]"));
  }
  return at::from_blob(const_cast<std::byte*>(array.data.data()), array.shape, at::kFloat).clone();
}

// Undefined for no words.
absl::StatusOr<at::Tensor> EncodeText(const LoadedModel& model, const char* field,
                                      const std::vector<std::string>& words, TextMode mode) {
  if (words.empty()) return at::Tensor();
  const absl::StatusOr<std::vector<float>> rows = model.text->Embed(words, mode);
  if (!rows.ok()) return Annotate(rows.status(), field);
  return at::tensor(*rows).view({static_cast<int64_t>(words.size()), -1});
}

absl::StatusOr<VocabularyWords> MakeWords(const LoadedModel& model, const WordsFile& words,
                                          const std::string& text, at::Device device) {
  const ModelConfig& config = model.network->config();
  if (!words.parts.empty() && !config.capabilities.part_labels) {
    return absl::FailedPreconditionError("the model has no part labels");
  }
  VocabularyWords tensors;
  if (text.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(tensors.objects,
                            EncodeText(model, "classes", words.classes, words.mode));
  } else {
    SEMSAM_ASSIGN_OR_RETURN(
        tensors.objects,
        ReadText(text, static_cast<int64_t>(words.classes.size()), config.decoder.text_dim));
  }
  SEMSAM_ASSIGN_OR_RETURN(tensors.parts, EncodeText(model, "parts", words.parts, words.mode));
  tensors.objects = tensors.objects.to(device);
  if (tensors.parts.defined()) tensors.parts = tensors.parts.to(device);
  return tensors;
}

// One image, one set of words, one network.
class VocabRun {
 public:
  VocabRun(const SemanticSam& network, const WordsFile& words, ArrayWriter& writer)
      : network_(network), words_(words), writer_(writer) {}

  absl::StatusOr<Json> Run(const Rgb8Image& image, ImageSize original,
                           const VocabularyWords& words);

 private:
  absl::Status WriteSelection();
  absl::Status WriteLayers();
  absl::Status WriteResult();
  Json NetworkFacts() const;

  at::Tensor Classes(const at::Tensor& queries) const {
    return network_.class_heads().Logits(LabelHead::kObject, queries, text_.objects);
  }
  at::Tensor Maps(const at::Tensor& rows) const {
    return rows.view({-1, features_.grid.height, features_.grid.width});
  }

  const SemanticSam& network_;
  const WordsFile& words_;
  ArrayWriter& writer_;
  ImageGeometry geometry_;
  ImageFeatures features_;
  VocabularyWords text_;
  VocabularyTensors run_;
};

absl::Status VocabRun::WriteSelection() {
  const TokenProposals& proposals = run_.proposals;
  const SelectedQueries& selected = run_.selected;
  SEMSAM_RETURN_IF_ERROR(writer_.Write("topk_idx", selected.tokens));
  SEMSAM_RETURN_IF_ERROR(
      writer_.Write("topk_score", selected.scores.index_select(0, selected.tokens)));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("enc_class_max", selected.scores));

  // Spread evenly over the tokens.
  const int64_t tokens = proposals.valid.size(0);
  std::vector<int64_t> shown;
  for (int64_t i = 0; i < kShownTokens; ++i) shown.push_back(i * (tokens - 1) / (kShownTokens - 1));
  const at::Tensor rows = at::tensor(shown).to(proposals.valid.device());
  const auto some = [&rows](const at::Tensor& all) { return all.index_select(0, rows); };
  const at::Tensor features = some(proposals.features);
  const at::Tensor invalid = some(proposals.valid).logical_not().unsqueeze(-1);
  SEMSAM_RETURN_IF_ERROR(writer_.Write("enc_rows", rows));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("enc_memory_rows", some(proposals.memory)));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("enc_outmem_rows", features));
  SEMSAM_RETURN_IF_ERROR(writer_.Write(
      "enc_class_rows",
      Classes(features).masked_fill(invalid, -std::numeric_limits<double>::infinity())));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("enc_prop_rows", some(proposals.boxes)));
  return writer_.Write("enc_coord_rows",
                       network_.decoder().BoxDeltas(features) + some(proposals.boxes));
}

absl::Status VocabRun::WriteLayers() {
  const Decoder& decoder = network_.decoder();
  const DecoderOutput& output = run_.output;
  // What the heads make of the queries before the first layer.
  const at::Tensor first = decoder.Norm(run_.selected.content);
  const at::Tensor first_masks = network_.PredictMasks(first, features_);
  std::vector<at::Tensor> logits = {Classes(network_.LabelQueries(first, first_masks, features_))};
  std::vector<at::Tensor> boxes = {run_.selected.references};
  SEMSAM_RETURN_IF_ERROR(writer_.Write("interm_boxes", boxes[0]));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("interm_logits", logits[0]));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("interm_masks", Maps(first_masks)));
  for (size_t i = 0; i + 1 < output.layers.size(); ++i) {
    const at::Tensor& queries = output.layers[i].twice;
    const at::Tensor masks = network_.PredictMasks(queries, features_);
    logits.push_back(Classes(network_.LabelQueries(queries, masks, features_)));
    boxes.push_back(decoder.PredictBoxes(output.layers[i].once, output.references[i]));
  }
  SEMSAM_RETURN_IF_ERROR(writer_.Write("refs", at::stack(output.references)));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("aux_logits", at::stack(logits)));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("aux_boxes", at::stack(boxes)));
  return writer_.Write("hs_raw", output.raw);
}

absl::Status VocabRun::WriteResult() {
  SEMSAM_RETURN_IF_ERROR(writer_.Write("text_emb", text_.objects));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("pred_logits", run_.object_logits));
  if (run_.part_logits.defined()) {
    SEMSAM_RETURN_IF_ERROR(writer_.Write("pred_part_logits", run_.part_logits));
  }
  SEMSAM_RETURN_IF_ERROR(writer_.Write("pred_boxes", run_.boxes));
  SEMSAM_RETURN_IF_ERROR(writer_.Write("pred_masks_all", Maps(run_.mask_logits)));
  const int64_t queries = run_.mask_logits.size(0);
  std::vector<int64_t> rows = words_.mask_queries;
  if (rows.empty()) rows.assign(std::begin(kMaskQueries), std::end(kMaskQueries));
  std::erase_if(rows, [queries](int64_t row) { return row >= queries; });
  const at::Tensor index = at::tensor(rows).to(run_.mask_logits.device());
  return writer_.Write("pred_masks_sub", Maps(run_.mask_logits.index_select(0, index)));
}

Json VocabRun::NetworkFacts() const {
  const auto size = [](ImageSize value) { return Json{value.height, value.width}; };
  Json levels = Json::array();
  for (const ImageSize& level : features_.memory.levels) levels.push_back(size(level));
  const at::Tensor& valid = run_.proposals.valid;
  return {{"image", size(geometry_.network)},
          {"padded", size(geometry_.padded)},
          {"levels_hw", levels},
          {"tokens", valid.size(0)},
          {"invalid_tokens", valid.logical_not().sum().item<int64_t>()},
          {"num_queries", run_.selected.tokens.size(0)},
          {"learned_queries", run_.selected.content.size(0) - run_.selected.tokens.size(0)}};
}

absl::StatusOr<Json> VocabRun::Run(const Rgb8Image& image, ImageSize original,
                                   const VocabularyWords& words) {
  const ModelConfig& config = network_.config();
  geometry_ = {original, image.size, PaddedSize(config, image.size)};
  const at::Tensor pixels = at::from_blob(const_cast<uint8_t*>(image.pixels.data()),
                                          {1, image.size.height, image.size.width, 3}, at::kByte);
  features_ = network_.Encode(network_.Preprocess(pixels, geometry_.padded)).front();
  text_ = words;
  run_ = RunVocabulary(network_, {features_, {}, geometry_.padded}, words,
                       words_.queries.value_or(config.vocabulary->queries), /*every_layer=*/true);
  SEMSAM_RETURN_IF_ERROR(WriteSelection());
  SEMSAM_RETURN_IF_ERROR(WriteLayers());
  SEMSAM_RETURN_IF_ERROR(WriteResult());

  const at::Tensor logits = run_.object_logits.cpu().contiguous();
  const at::Tensor masks = run_.mask_logits.cpu().contiguous();
  const at::Tensor boxes = run_.boxes.cpu().contiguous();
  const auto span = [](const at::Tensor& tensor) {
    return absl::Span<const float>(tensor.const_data_ptr<float>(),
                                   static_cast<size_t>(tensor.numel()));
  };
  std::vector<CenterBox> centre_boxes;
  for (const float* box = span(boxes).begin(); box != span(boxes).end(); box += 4) {
    centre_boxes.push_back({box[0], box[1], box[2], box[3]});
  }
  const VocabularyQueries queries = {.geometry = geometry_,
                                     .grid = features_.grid,
                                     .queries = static_cast<int>(masks.size(0)),
                                     .classes = static_cast<int>(logits.size(1)),
                                     .class_logits = span(logits),
                                     .mask_logits = span(masks),
                                     .boxes = centre_boxes};
  // Published: learned queries stand for stuff and give no instances.
  const InferenceSettings settings = {
      .output = words_.output.value_or(original),
      .top_instances = words_.top_instances.value_or(config.vocabulary->top_instances),
      .instance_queries = static_cast<int>(run_.selected.tokens.size(0)),
      .temperature = config.vocabulary->score_temperature};
  SEMSAM_ASSIGN_OR_RETURN(Json json, WriteInference(queries, words_, settings, writer_));
  json["output_size"] = {settings.output.height, settings.output.width};
  json["network"] = NetworkFacts();
  return json;
}

absl::Status WriteJson(const std::string& path, const Json& json, std::ostream& out) {
  std::ofstream file(path, std::ios::binary);
  file << json.dump(1) << "\n";
  if (!file.flush()) return absl::UnavailableError("cannot write " + path);
  out << "results.json\n";
  return absl::OkStatus();
}

absl::Status Vocab(const Options& options, std::ostream& out) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string json, ReadFile(options.words));
  const absl::StatusOr<WordsFile> words = ParseWords(json);
  if (!words.ok()) return Annotate(words.status(), options.words);
  SEMSAM_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(options.image));
  absl::StatusOr<Rgb8Image> image = DecodeImage(bytes, DecodeLimits{});
  if (!image.ok()) return Annotate(image.status(), options.image);

  ConfigureTorch({});
  SEMSAM_ASSIGN_OR_RETURN(const at::Device device, ParseDevice(options.device));
  SEMSAM_ASSIGN_OR_RETURN(
      const LoadedModel model,
      LoadModel(options.weights, device,
                options.reference ? ops::Path::kReference : ops::Path::kNative));
  const ModelConfig& config = model.network->config();
  if (!config.capabilities.vocabulary) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.weights, ": the model has no vocabulary"));
  }
  c10::InferenceMode inference;
  SEMSAM_ASSIGN_OR_RETURN(const VocabularyWords text,
                          MakeWords(model, *words, options.text, device));
  const ImageSize original = image->size;
  if (options.resize) {
    image = ResizeBicubic(*image, NetworkSize(original, config.short_edge_px));
  }
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) return absl::UnavailableError("cannot make the folder " + options.out);

  ArrayWriter writer(options.out, out);
  VocabRun run(*model.network, *words, writer);
  SEMSAM_ASSIGN_OR_RETURN(const Json results, run.Run(*image, original, text));
  return WriteJson(options.out + "/results.json", results, out);
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  return CatchTorch([&] { return Vocab(options, out); });
}

}  // namespace

Command VocabCommand() {
  return {.name = "vocab",
          .summary = "Write every stage of a vocabulary run on one image as NumPy files",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
