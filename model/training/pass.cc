#include "model/training/pass.h"

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "model/base/status_macros.h"
#include "model/net/prompt_tensors.h"
#include "model/torch/catch.h"
#include "model/training/uniform.h"

namespace semsam {
namespace {

// bfloat16 where it is exact enough and fast (products), as autocast knows it.
class AutocastGuard {
 public:
  AutocastGuard(Precision precision, at::DeviceType device)
      : device_(device),
        on_(precision == Precision::kBFloat16),
        was_on_(at::autocast::is_autocast_enabled(device)),
        type_was_(at::autocast::get_autocast_dtype(device)) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(device, true);
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
  }
  ~AutocastGuard() {
    if (!on_) return;
    at::autocast::set_autocast_enabled(device_, was_on_);
    at::autocast::set_autocast_dtype(device_, type_was_);
    // It holds casts of weights that the step will change.
    at::autocast::clear_cache();
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  const at::DeviceType device_;
  const bool on_;
  const bool was_on_;
  const at::ScalarType type_was_;
};

ImageTargets OnDevice(const ImageTargets& targets, at::Device device) {
  ImageTargets moved = targets;
  for (at::Tensor* tensor :
       {&moved.masks, &moved.boxes, &moved.has_mask, &moved.unknown, &moved.objects.listed,
        &moved.objects.absent, &moved.parts.listed, &moved.parts.absent}) {
    if (tensor->defined()) *tensor = tensor->to(device);
  }
  return moved;
}

at::Tensor FullPrecisionOf(const at::Tensor& values) {
  return values.defined() ? FullPrecision(values) : values;
}

// One picture on the way through the pass.
struct PassImage {
  const TrainingSample* sample = nullptr;
  WordRows words;
  std::vector<LayerPredictions> prompts;  // [layers]
  std::vector<LayerPredictions> queries;
  std::vector<LayerPredictions> denoising;
  ImageTargets wholes;  // of queries and denoising
};

class Pass {
 public:
  Pass(const SemanticSam& network, const Criterion& criterion, at::Tensor lang_mapper,
       const PassOptions& options, at::Device device)
      : network_(network),
        criterion_(criterion),
        lang_mapper_(std::move(lang_mapper)),
        options_(options),
        device_(device) {}

  absl::Status AddImages(absl::Span<const TrainingSample> samples, WordEmbeddings* words) {
    const ClassHeads& heads = network_.class_heads();
    for (const TrainingSample& sample : samples) {
      PassImage image = {.sample = &sample};
      const auto rows = [&](LabelHead head, const WordList& list,
                            at::Tensor& target) -> absl::Status {
        if (words == nullptr || !heads.Has(head) || list.size() == 0) return absl::OkStatus();
        SEMSAM_ASSIGN_OR_RETURN(target, words->Rows(list.words()));
        target = target.to(device_);
        return absl::OkStatus();
      };
      SEMSAM_RETURN_IF_ERROR(rows(LabelHead::kObject, sample.words.objects, image.words.objects));
      SEMSAM_RETURN_IF_ERROR(rows(LabelHead::kPart, sample.words.parts, image.words.parts));
      images_.push_back(std::move(image));
    }
    return absl::OkStatus();
  }

  void Forward() {
    const AutocastGuard autocast(options_.precision, device_.type());
    std::vector<at::Tensor> pictures;
    for (const PassImage& image : images_) pictures.push_back(image.sample->picture);
    const at::Tensor batch = at::stack(pictures).to(device_);
    const ImageSize size = {.height = static_cast<int>(batch.size(1)),
                            .width = static_cast<int>(batch.size(2))};
    const std::vector<ImageFeatures> features = network_.Encode(network_.Preprocess(batch, size));
    AskPrompts(features, size);
    for (size_t i = 0; i < images_.size(); ++i) {
      if (images_[i].sample->queries && images_[i].words.objects.defined()) {
        AskQueries(features[i], images_[i]);
      }
    }
  }

  absl::StatusOr<PassLosses> Losses() {
    PassLosses result;
    std::vector<ImageLosses> all;
    at::Tensor terms = at::zeros({LossTerms::kCount}, at::TensorOptions(device_));
    for (const PassImage& image : images_) {
      SeededUniform random(image.sample->losses_seed);
      const ImageTargets targets = OnDevice(image.sample->truth.targets, device_);
      SEMSAM_ASSIGN_OR_RETURN(ImageLosses prompts,
                              criterion_.PromptLosses(image.prompts, targets, random));
      AddTerms(prompts, terms);
      result.prompt_pairs += prompts.pairs;
      all.push_back(std::move(prompts));
      if (image.queries.empty()) continue;
      const ImageTargets wholes = OnDevice(image.wholes, device_);
      SEMSAM_ASSIGN_OR_RETURN(ImageLosses queries,
                              criterion_.QueryLosses(image.queries, wholes, random));
      all.push_back(std::move(queries));
      if (image.denoising.empty()) continue;
      SEMSAM_ASSIGN_OR_RETURN(ImageLosses denoising,
                              criterion_.DenoisingLosses(image.denoising, wholes,
                                                         image.sample->denoising.pairs, random));
      all.push_back(std::move(denoising));
    }
    for (const ImageLosses& losses : all) result.pairs += losses.pairs;
    SEMSAM_RETURN_IF_ERROR(CatchTorch([&] {
      result.sum = criterion_.Total(all, /*pairs=*/1);
      const at::Tensor read = terms.to(at::kCPU);
      std::copy_n(read.const_data_ptr<float>(), LossTerms::kCount, result.terms.begin());
      return absl::OkStatus();
    }));
    return result;
  }

 private:
  static void AddTerms(const ImageLosses& losses, at::Tensor& terms) {
    if (losses.layers.empty()) return;
    std::vector<at::Tensor> values;
    for (const at::Tensor& value : losses.layers.back().values) values.push_back(value.detach());
    terms += at::stack(values).to(at::kFloat);
  }

  // All prompts of all pictures at once.
  void AskPrompts(absl::Span<const ImageFeatures> features, ImageSize size) {
    std::vector<Prompt> prompts;
    std::vector<int> image_of_prompt;
    for (size_t i = 0; i < images_.size(); ++i) {
      const std::vector<Prompt>& own = images_[i].sample->truth.prompts;
      prompts.insert(prompts.end(), own.begin(), own.end());
      image_of_prompt.insert(image_of_prompt.end(), own.size(), static_cast<int>(i));
    }
    if (prompts.empty() || network_.config().decoder.tokens == 0) return;
    const auto said = network_.PredictLayers(
        features, DecoderInput{.image_of_prompt = std::move(image_of_prompt),
                               .boxes = PromptBoxes(prompts, size, size).to(device_),
                               .point_or_box = PromptRows(prompts).to(device_)});
    for (size_t i = 0; i < images_.size(); ++i) {
      images_[i].prompts = Read(said[i], images_[i].words);
    }
  }

  std::vector<LayerPredictions> Read(const std::vector<Predictions>& said,
                                     const WordRows& words) const {
    std::vector<LayerPredictions> layers;
    for (const Predictions& layer : said) layers.push_back(ForLosses(network_, layer, words));
    return layers;
  }

  // Generic queries, chosen by the picture's words, and denoising ones.
  void AskQueries(const ImageFeatures& features, PassImage& image) {
    const QuerySelection& selection = *network_.query_selection();
    image.wholes = WholeTargets(image.sample->truth.targets);
    const SelectedQueries selected = selection.Select(
        selection.Propose(features.memory), network_.class_heads(), LabelHead::kObject,
        image.words.objects, network_.decoder(), options_.queries);
    const int64_t count = selected.content.size(0);
    if (count == 0) return;
    const auto said = network_.PredictLayers(
        {&features, 1}, QueryInput{.image_of_query = std::vector<int>(count, 0),
                                   .content = selected.content,
                                   .references = selected.references,
                                   .queries_per_group = count});
    image.queries = Read(said[0], image.words);
    const Predictions proposed = network_.PredictProposals(selected, features);
    image.queries.insert(image.queries.begin(), ForLosses(network_, proposed, image.words));
    AskDenoising(features, image);
  }

  // Each copy of the boxes attends to itself alone, and nothing attends to it.
  void AskDenoising(const ImageFeatures& features, PassImage& image) {
    const DenoisingBoxes& boxes = image.sample->denoising;
    const int64_t targets = image.wholes.size();
    if (!boxes.boxes.defined() || targets == 0) return;
    const int64_t count = boxes.boxes.size(0);
    const auto said = network_.PredictLayers(
        {&features, 1},
        QueryInput{.image_of_query = std::vector<int>(count, 0),
                   .content = DenoisingContent(image, features.memory.memory.size(1))
                                  .repeat({count / targets, 1}),
                   .references = boxes.boxes.to(device_),
                   .queries_per_group = targets});
    image.denoising = Read(said[0], image.words);
  }

  // Published: the text embedding of each target's word, mapped to the width of the
  // queries. [targets, channels]
  at::Tensor DenoisingContent(const PassImage& image, int64_t channels) const {
    const std::vector<int64_t>& labels = image.wholes.objects.labels;
    const int64_t targets = image.wholes.size();
    at::Tensor known = at::zeros({targets, 1}, at::kFloat);
    at::Tensor rows = at::zeros({targets}, at::kLong);
    for (int64_t i = 0; i < targets; ++i) {
      if (labels[i] < 0) continue;
      known.mutable_data_ptr<float>()[i] = 1;
      rows.mutable_data_ptr<int64_t>()[i] = labels[i];
    }
    if (!lang_mapper_.defined())
      return at::zeros({targets, channels}, known.options().device(device_));
    const at::Tensor text = image.words.objects.index_select(0, rows.to(device_));
    return at::matmul(text, lang_mapper_) * known.to(device_);
  }

  const SemanticSam& network_;
  const Criterion& criterion_;
  const at::Tensor lang_mapper_;
  const PassOptions options_;
  const at::Device device_;
  std::vector<PassImage> images_;
};

}  // namespace

LayerPredictions ForLosses(const SemanticSam& network, const Predictions& said,
                           const WordRows& words) {
  const ClassHeads& heads = network.class_heads();
  LayerPredictions layer = {.masks = said.masks,
                            .boxes = FullPrecisionOf(said.boxes),
                            .ious = FullPrecisionOf(said.ious)};
  if (words.objects.defined()) {
    layer.object_logits =
        FullPrecision(heads.Logits(LabelHead::kObject, said.label_queries, words.objects));
  }
  if (words.parts.defined()) {
    layer.part_logits =
        FullPrecision(heads.Logits(LabelHead::kPart, said.label_queries, words.parts));
  }
  return layer;
}

absl::StatusOr<PassLosses> RunPass(const SemanticSam& network,
                                   absl::Span<const TrainingSample> samples,
                                   const Criterion& criterion, WordEmbeddings* words,
                                   const at::Tensor& lang_mapper, const PassOptions& options) {
  if (samples.empty()) return PassLosses{.sum = at::zeros({})};
  const at::Device device = network.pixel_decoder().mask_projection().weight.device();
  Pass pass(network, criterion, lang_mapper, options, device);
  SEMSAM_RETURN_IF_ERROR(CatchTorch([&]() -> absl::Status {
    SEMSAM_RETURN_IF_ERROR(pass.AddImages(samples, words));
    pass.Forward();
    return absl::OkStatus();
  }));
  return pass.Losses();
}

}  // namespace semsam
