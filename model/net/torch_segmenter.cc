#include "model/net/torch_segmenter.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/memory_use.h"
#include "model/base/status_macros.h"
#include "model/net/embedding_storage.h"
#include "model/net/load_model.h"
#include "model/net/prompt_tensors.h"
#include "model/net/score_labels.h"
#include "model/net/torch_embedding.h"
#include "model/net/vocabulary_run.h"
#include "model/torch/catch.h"
#include "model/torch/runtime.h"

namespace semsam {
namespace {

using EncodeResult = absl::StatusOr<std::shared_ptr<const Embedding>>;
using DecodeResults = std::vector<absl::StatusOr<DecodeResult>>;

class TorchSegmenter final : public Segmenter {
 public:
  TorchSegmenter(LoadedModel model, ModelInfo info, at::Device device)
      : model_(std::move(model)), info_(std::move(info)), device_(device) {}

  const ModelInfo& info() const override { return info_; }

  std::vector<EncodeResult> Encode(absl::Span<const Rgb8Image* const> images) override;
  int64_t EmbeddingBytes(ImageSize network_size) const override {
    return FeatureBytes(*model_.network, network_size);
  }
  absl::StatusOr<MemoryUse> Memory() const override;
  absl::StatusOr<StoredEmbedding> Store(const Embedding& embedding,
                                        StorageFormat format) const override;
  absl::StatusOr<std::shared_ptr<const Embedding>> Load(const StoredEmbedding& stored) override;
  DecodeResults Decode(absl::Span<const DecodeRequest> requests) override;
  absl::StatusOr<std::shared_ptr<const Embedding>> ProjectValues(
      const std::shared_ptr<const Embedding>& embedding) override;
  absl::StatusOr<std::vector<float>> EncodeText(absl::Span<const std::string> terms,
                                                TextMode mode) override;
  absl::StatusOr<std::vector<float>> ScoreLabels(
      LabelHead head, absl::Span<const float> query_embeddings,
      absl::Span<const float> text_embeddings) const override;
  std::vector<absl::StatusOr<VocabularyResult>> SegmentVocabulary(
      absl::Span<const VocabularyRequest> requests) override;

 private:
  absl::StatusOr<VocabularyResult> SegmentOneVocabulary(const VocabularyRequest& request) const;

  // Indices of requests that decode in one call: every isolated request
  // together, a joint one alone.
  using Batch = std::vector<size_t>;

  absl::Status CheckImage(const Rgb8Image& image) const;
  // `embedding`, if this segmenter made it; INVALID_ARGUMENT otherwise.
  absl::StatusOr<const TorchEmbedding*> Own(const Embedding* embedding) const;
  absl::Status CheckRequest(const DecodeRequest& request) const;
  std::vector<EncodeResult> EncodeBatch(absl::Span<const Rgb8Image* const> images,
                                        ImageSize padded);
  std::vector<DecodeResult> DecodeBatch(absl::Span<const DecodeRequest> requests,
                                        const Batch& batch) const;
  DecoderInput MakeInput(absl::Span<const DecodeRequest> requests, const Batch& batch,
                         std::vector<ops::PyramidMemory>& memories) const;
  // `boxes` [prompts of the request, 4] as the decoder was given them.
  DecodeResult ReadMasks(const DecodeRequest& request, const at::Tensor& boxes,
                         const DecoderOutput& output, int64_t first_query) const;

  LoadedModel model_;
  ModelInfo info_;
  at::Device device_;
};

absl::StatusOr<MemoryUse> TorchSegmenter::Memory() const {
  if (device_.is_cpu()) return ProcessMemory();
  return CatchTorch([this]() -> absl::StatusOr<MemoryUse> {
    const c10::DeviceIndex index = device_.has_index() ? device_.index() : 0;
    const auto [free, total] = c10::getDeviceAllocator(device_.type())->getMemoryInfo(index);
    return MemoryUse{.used_bytes = static_cast<int64_t>(total - free),
                     .total_bytes = static_cast<int64_t>(total)};
  });
}

absl::Status TorchSegmenter::CheckImage(const Rgb8Image& image) const {
  if (image.size.height <= 0 || image.size.width <= 0 ||
      image.pixels.size() != static_cast<size_t>(image.size.area()) * 3) {
    return InvalidField("image", "size and pixels do not agree");
  }
  return absl::OkStatus();
}

std::vector<EncodeResult> TorchSegmenter::Encode(absl::Span<const Rgb8Image* const> images) {
  std::vector<EncodeResult> results(images.size(), absl::InternalError("not encoded"));
  // Images of equal padded size run together.
  std::map<std::pair<int, int>, std::vector<size_t>> batches;
  for (size_t i = 0; i < images.size(); ++i) {
    if (absl::Status status = CheckImage(*images[i]); !status.ok()) {
      results[i] = status;
      continue;
    }
    const ImageSize padded = PaddedSize(info_.config, images[i]->size);
    batches[{padded.height, padded.width}].push_back(i);
  }
  for (const auto& [padded, indices] : batches) {
    std::vector<const Rgb8Image*> batch;
    for (size_t i : indices) batch.push_back(images[i]);
    auto encoded = CatchTorch([&] { return EncodeBatch(batch, {padded.first, padded.second}); });
    for (size_t i = 0; i < indices.size(); ++i) {
      results[indices[i]] =
          encoded.ok() ? std::move((*encoded)[i]) : EncodeResult(encoded.status());
    }
  }
  return results;
}

std::vector<EncodeResult> TorchSegmenter::EncodeBatch(absl::Span<const Rgb8Image* const> images,
                                                      ImageSize padded) {
  c10::InferenceMode inference;
  const SemanticSam& network = *model_.network;
  std::vector<at::Tensor> inputs;
  for (const Rgb8Image* image : images) {
    const at::Tensor pixels =
        at::from_blob(const_cast<uint8_t*>(image->pixels.data()),
                      {1, image->size.height, image->size.width, 3}, at::kByte);
    inputs.push_back(network.Preprocess(pixels, padded));
  }
  std::vector<EncodeResult> results;
  std::vector<ImageFeatures> features;
  if (device_.is_cpu()) {
    // A core gains nothing from a batch and would hold all activations at once.
    for (const at::Tensor& input : inputs) features.push_back(network.Encode(input).front());
  } else {
    features = network.Encode(at::cat(inputs));
  }
  for (size_t i = 0; i < images.size(); ++i) {
    results.push_back(
        std::make_shared<TorchEmbedding>(this, std::move(features[i]), images[i]->size, padded));
  }
  return results;
}

absl::StatusOr<const TorchEmbedding*> TorchSegmenter::Own(const Embedding* embedding) const {
  const auto* own = dynamic_cast<const TorchEmbedding*>(embedding);
  if (own == nullptr || own->owner() != this) {
    return InvalidField("embedding", "was not made by this model");
  }
  return own;
}

absl::StatusOr<StoredEmbedding> TorchSegmenter::Store(const Embedding& embedding,
                                                      StorageFormat format) const {
  SEMSAM_ASSIGN_OR_RETURN(const TorchEmbedding* own, Own(&embedding));
  return CatchTorch([&]() -> absl::StatusOr<StoredEmbedding> {
    c10::InferenceMode inference;
    // Projected values follow from the rest, and would make it several times as large.
    SEMSAM_ASSIGN_OR_RETURN(std::string bytes,
                            PackFeatures(own->features(), own->network_size(), format));
    return StoredEmbedding{.format = format,
                           .model_digest = info_.digest,
                           .network_size = own->network_size(),
                           .bytes = std::move(bytes)};
  });
}

absl::StatusOr<std::shared_ptr<const Embedding>> TorchSegmenter::Load(
    const StoredEmbedding& stored) {
  if (stored.model_digest != info_.digest) {
    return InvalidField("stored.model_digest", "is that of another model");
  }
  return CatchTorch([&]() -> absl::StatusOr<std::shared_ptr<const Embedding>> {
    c10::InferenceMode inference;
    SEMSAM_ASSIGN_OR_RETURN(ImageFeatures features, UnpackFeatures(*model_.network, stored));
    return std::make_shared<TorchEmbedding>(this, std::move(features), stored.network_size,
                                            PaddedSize(info_.config, stored.network_size));
  });
}

absl::Status TorchSegmenter::CheckRequest(const DecodeRequest& request) const {
  SEMSAM_RETURN_IF_ERROR(Own(request.embedding.get()).status());
  if (request.prompts.empty()) return InvalidField("prompts", "must not be empty");
  if (request.levels.empty()) return InvalidField("levels", "must not be empty");
  for (size_t i = 0; i < request.prompts.size(); ++i) {
    const int row = request.prompts[i].point_or_box;
    if (row != 0 && row != 1) {
      return InvalidField(absl::StrCat("prompts[", i, "].point_or_box"), "must be 0 or 1");
    }
  }
  for (size_t i = 0; i < request.levels.size(); ++i) {
    if (request.levels[i] < 1 || request.levels[i] > info_.config.levels()) {
      return InvalidField(absl::StrCat("levels[", i, "]"),
                          absl::StrCat("must be 1 to ", info_.config.levels()),
                          reason::kUnknownLevel);
    }
  }
  return absl::OkStatus();
}

DecodeResults TorchSegmenter::Decode(absl::Span<const DecodeRequest> requests) {
  DecodeResults results(requests.size(), absl::InternalError("not decoded"));
  Batch isolated;
  std::vector<Batch> batches;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (absl::Status status = CheckRequest(requests[i]); !status.ok()) {
      results[i] = status;
    } else if (requests[i].joint_attention) {
      batches.push_back({i});
    } else {
      isolated.push_back(i);
    }
  }
  if (!isolated.empty()) batches.push_back(std::move(isolated));
  for (const Batch& batch : batches) {
    auto decoded = CatchTorch([&] { return DecodeBatch(requests, batch); });
    for (size_t i = 0; i < batch.size(); ++i) {
      results[batch[i]] =
          decoded.ok() ? std::move((*decoded)[i]) : absl::StatusOr<DecodeResult>(decoded.status());
    }
  }
  return results;
}

DecoderInput TorchSegmenter::MakeInput(absl::Span<const DecodeRequest> requests, const Batch& batch,
                                       std::vector<ops::PyramidMemory>& memories) const {
  DecoderInput input;
  std::map<const TorchEmbedding*, int> image_index;
  std::vector<at::Tensor> boxes, rows;
  for (size_t r : batch) {
    const auto* embedding = static_cast<const TorchEmbedding*>(requests[r].embedding.get());
    const auto [it, added] = image_index.emplace(embedding, static_cast<int>(memories.size()));
    if (added) {
      memories.push_back(embedding->features().memory);
      input.projected_values.push_back(embedding->values());
    }
    const std::vector<Prompt>& prompts = requests[r].prompts;
    input.image_of_prompt.insert(input.image_of_prompt.end(), prompts.size(), it->second);
    boxes.push_back(PromptBoxes(prompts, embedding->network_size(), embedding->padded_size()));
    rows.push_back(PromptRows(prompts));
  }
  const int64_t prompts = static_cast<int64_t>(input.image_of_prompt.size());
  input.images = memories;
  input.boxes = at::cat(boxes).to(device_);
  input.point_or_box = at::cat(rows).to(device_);
  input.prompts_per_group = requests[batch.front()].joint_attention ? prompts : 1;
  return input;
}

std::vector<DecodeResult> TorchSegmenter::DecodeBatch(absl::Span<const DecodeRequest> requests,
                                                      const Batch& batch) const {
  c10::InferenceMode inference;
  std::vector<ops::PyramidMemory> memories;
  const DecoderInput input = MakeInput(requests, batch, memories);
  const DecoderOutput output = model_.network->decoder().Forward(input);
  std::vector<DecodeResult> results;
  int64_t first = 0;
  for (size_t r : batch) {
    const auto prompts = static_cast<int64_t>(requests[r].prompts.size());
    results.push_back(ReadMasks(requests[r], input.boxes.slice(0, first, first + prompts), output,
                                first * info_.config.decoder.tokens));
    first += prompts;
  }
  return results;
}

DecodeResult TorchSegmenter::ReadMasks(const DecodeRequest& request, const at::Tensor& boxes,
                                       const DecoderOutput& output, int64_t first_query) const {
  const auto& embedding = static_cast<const TorchEmbedding&>(*request.embedding);
  DecodeResult result;
  result.padded_size = embedding.padded_size();
  result.grid = embedding.features().grid;
  std::vector<int64_t> rows;
  for (size_t p = 0; p < request.prompts.size(); ++p) {
    for (int level : request.levels) {
      rows.push_back(first_query + static_cast<int64_t>(p) * info_.config.decoder.tokens +
                     info_.config.level_to_token[level - 1]);
      result.scores.push_back({.prompt = static_cast<int>(p), .level = level});
    }
  }
  // Heads run on the asked levels alone.
  const at::Tensor index = at::tensor(rows).to(device_);
  const at::Tensor queries = output.queries.index_select(0, index);
  const Predictions said =
      model_.network->Predict({.queries = queries,
                               .box_queries = queries,
                               .references = output.last_reference.index_select(0, index),
                               .centres = boxes.slice(1, 0, 2)},
                              embedding.features());
  const at::Tensor ious = said.ious.cpu().contiguous();
  const at::Tensor found = said.boxes.cpu().contiguous();
  for (size_t i = 0; i < rows.size(); ++i) {
    const float* box = found.const_data_ptr<float>() + 4 * i;
    result.scores[i].predicted_iou = ious.const_data_ptr<float>()[i];
    result.scores[i].box = {box[0], box[1], box[2], box[3]};
  }
  const auto copy = [](const at::Tensor& tensor, std::vector<float>& out) {
    const at::Tensor values = tensor.cpu().contiguous();
    const float* data = values.const_data_ptr<float>();
    out.assign(data, data + values.numel());
  };
  copy(said.masks, result.logits);
  copy(said.label_queries, result.query_embeddings);
  result.embedding_dim = static_cast<int>(queries.size(1));
  return result;
}

absl::StatusOr<std::shared_ptr<const Embedding>> TorchSegmenter::ProjectValues(
    const std::shared_ptr<const Embedding>& embedding) {
  SEMSAM_ASSIGN_OR_RETURN(const TorchEmbedding* raw, Own(embedding.get()));
  if (raw->values().defined()) return embedding;
  return CatchTorch([&]() -> std::shared_ptr<const Embedding> {
    c10::InferenceMode inference;
    return std::make_shared<TorchEmbedding>(
        this, raw->features(), raw->network_size(), raw->padded_size(),
        model_.network->decoder().ProjectValues(raw->features().memory.memory));
  });
}

absl::StatusOr<std::vector<float>> TorchSegmenter::EncodeText(absl::Span<const std::string> terms,
                                                              TextMode mode) {
  if (model_.text == nullptr) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kCapabilityMissing,
                           "the model has no text encoder");
  }
  return CatchTorch([&] {
    c10::InferenceMode inference;
    return model_.text->Embed(terms, mode);
  });
}

absl::StatusOr<std::vector<float>> TorchSegmenter::ScoreLabels(
    LabelHead head, absl::Span<const float> query_embeddings,
    absl::Span<const float> text_embeddings) const {
  return semsam::ScoreLabels(*model_.network, head, query_embeddings, text_embeddings);
}

std::vector<absl::StatusOr<VocabularyResult>> TorchSegmenter::SegmentVocabulary(
    absl::Span<const VocabularyRequest> requests) {
  std::vector<absl::StatusOr<VocabularyResult>> results;
  // One after the other: the queries of a request fill the cores, and attend to each
  // other alone.
  for (const VocabularyRequest& request : requests) {
    results.push_back(SegmentOneVocabulary(request));
  }
  return results;
}

absl::StatusOr<VocabularyResult> TorchSegmenter::SegmentOneVocabulary(
    const VocabularyRequest& request) const {
  SEMSAM_RETURN_IF_ERROR(CheckVocabularyRequest(info_.config, request));
  SEMSAM_ASSIGN_OR_RETURN(const TorchEmbedding* embedding, Own(request.embedding.get()));
  return CatchTorch([&] {
    c10::InferenceMode inference;
    const VocabularyImage image = {.features = embedding->features(),
                                   .projected_values = embedding->values(),
                                   .padded = embedding->padded_size()};
    return SegmentWithWords(*model_.network, image, request);
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Segmenter>> CreateTorchSegmenter(
    const TorchSegmenterOptions& options) {
  ConfigureTorch({.threads = options.threads});
  SEMSAM_ASSIGN_OR_RETURN(const at::Device device, ParseDevice(options.device));
  SEMSAM_ASSIGN_OR_RETURN(
      LoadedModel model,
      LoadModel(options.weights, device,
                options.reference_path ? ops::Path::kReference : ops::Path::kNative));
  ModelInfo info = {.config = model.file->config(),
                    .digest = model.file->digest(),
                    .device = device.str(),
                    .trained = model.file->trained(),
                    .vocabulary = model.file->vocabulary()};
  return std::make_unique<TorchSegmenter>(std::move(model), std::move(info), device);
}

}  // namespace semsam
