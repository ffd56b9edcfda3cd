#include "model/net/vocabulary_run.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

absl::Status CheckRows(const std::vector<float>& text, int width, const char* field) {
  if (text.size() % static_cast<size_t>(width) != 0) {
    return InvalidField(field, absl::StrCat("must be rows of ", width, " numbers"));
  }
  return absl::OkStatus();
}

// Undefined for no words.
at::Tensor TextTensor(const std::vector<float>& text, int width, const at::Tensor& like) {
  if (text.empty()) return {};
  return at::from_blob(const_cast<float*>(text.data()),
                       {static_cast<int64_t>(text.size()) / width, width}, at::kFloat)
      .to(like.device());
}

std::vector<float> ToVector(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor values = tensor.cpu().contiguous();
  const float* data = values.const_data_ptr<float>();
  return {data, data + values.numel()};
}

}  // namespace

VocabularyTensors RunVocabulary(const SemanticSam& network, const VocabularyImage& image,
                                const VocabularyWords& words, int64_t queries, bool every_layer) {
  const QuerySelection* selection = network.query_selection();
  TORCH_CHECK(selection != nullptr, "the model has no vocabulary");
  const Decoder& decoder = network.decoder();
  const ClassHeads& heads = network.class_heads();
  VocabularyTensors run;
  run.proposals = selection->Propose(image.features.memory);
  run.selected =
      selection->Select(run.proposals, heads, words.selects(), words.chosen_by(), decoder, queries);

  const int64_t count = run.selected.content.size(0);
  const ops::PyramidMemory memories[] = {image.features.memory};
  run.output =
      decoder.Forward(QueryInput{.images = memories,
                                 .projected_values = {image.projected_values},
                                 .image_of_query = std::vector<int>(static_cast<size_t>(count), 0),
                                 .content = run.selected.content,
                                 .references = run.selected.references,
                                 .queries_per_group = count},
                      every_layer);

  const Predictions said = network.Predict({.queries = run.output.queries,
                                            .box_queries = run.output.normed_once,
                                            .references = run.output.last_reference},
                                           image.features);
  run.boxes = said.boxes;
  run.mask_logits = said.masks.flatten(1);
  if (words.objects.defined()) {
    run.object_logits = heads.Logits(LabelHead::kObject, said.label_queries, words.objects);
  }
  if (words.parts.defined()) {
    run.part_logits = heads.Logits(LabelHead::kPart, said.label_queries, words.parts);
  }
  return run;
}

absl::Status CheckVocabularyRequest(const ModelConfig& config, const VocabularyRequest& request) {
  if (!config.capabilities.vocabulary) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kCapabilityMissing,
                           "the model has no vocabulary");
  }
  if (!request.part_text.empty() && !config.capabilities.part_labels) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kCapabilityMissing,
                           "the model has no part labels");
  }
  if (request.object_text.empty() && request.part_text.empty()) {
    return InvalidField("object_text", "needs at least one word, here or in part_text");
  }
  SEMSAM_RETURN_IF_ERROR(CheckRows(request.object_text, config.decoder.text_dim, "object_text"));
  return CheckRows(request.part_text, config.decoder.text_dim, "part_text");
}

VocabularyResult SegmentWithWords(const SemanticSam& network, const VocabularyImage& image,
                                  const VocabularyRequest& request) {
  const ModelConfig& config = network.config();
  const at::Tensor& memory = image.features.memory.memory;
  const VocabularyWords words = {
      .objects = TextTensor(request.object_text, config.decoder.text_dim, memory),
      .parts = TextTensor(request.part_text, config.decoder.text_dim, memory)};
  const VocabularyTensors run = RunVocabulary(network, image, words, config.vocabulary->queries);

  VocabularyResult result = {.padded_size = image.padded,
                             .grid = image.features.grid,
                             .queries = static_cast<int>(run.boxes.size(0)),
                             .chosen_queries = static_cast<int>(run.selected.tokens.size(0)),
                             .boxes = {},
                             .object_logits = ToVector(run.object_logits),
                             .part_logits = ToVector(run.part_logits),
                             .mask_logits = ToVector(run.mask_logits)};
  const std::vector<float> boxes = ToVector(run.boxes);
  for (size_t i = 0; i < boxes.size(); i += 4) {
    result.boxes.push_back({boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]});
  }
  return result;
}

}  // namespace semsam
