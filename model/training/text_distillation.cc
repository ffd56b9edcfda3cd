#include "model/training/text_distillation.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/net/tensor_map.h"
#include "model/net/text_embedder.h"
#include "model/net/text_encoder.h"
#include "model/torch/catch.h"
#include "model/training/text_start.h"
#include "model/weights/formula.h"

namespace semsam {
namespace {

constexpr char kTokens[] =
    "sem_seg_head.predictor.lang_encoder.lang_encoder.token_embedding.weight";

}  // namespace

absl::Status Validate(const TextDistillationOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(TextModelConfig(options.text, /*text_dim=*/1)));
  if (options.text.vocabulary_size != Tokenizer::kVocabularySize) {
    return InvalidField("text.vocabulary_size", "must be CLIP's");
  }
  TextBatchOptions batches = options.batches;
  batches.context = options.text.context;
  SEMSAM_RETURN_IF_ERROR(PrependField(Validate(batches), "batches"));
  SEMSAM_RETURN_IF_ERROR(PrependField(Validate(options.loss), "loss"));
  return PrependField(Validate(options.optimizer), "optimizer");
}

ModelConfig TextModelConfig(const TextConfig& text, int text_dim) {
  ModelConfig config = SwinTiny();
  config.name = "text";
  config.text = text;
  config.decoder.text_dim = text_dim;
  return config;
}

absl::StatusOr<std::unique_ptr<TextDistillation>> TextDistillation::Create(
    TextTargets targets, const TextDistillationOptions& options, NamedTensors start) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  std::vector<int64_t> learnt;
  std::vector<std::string> names;
  for (size_t i = 0; i < targets.texts.size(); ++i) {
    if (options.hold_out && targets.held_out[i]) continue;
    learnt.push_back(static_cast<int64_t>(i));
    names.push_back(targets.texts[i]);
  }
  TextBatchOptions batch_options = options.batches;
  batch_options.context = options.text.context;
  SEMSAM_ASSIGN_OR_RETURN(TextBatches batches, TextBatches::Create(names, batch_options));
  const ModelConfig config = TextModelConfig(options.text, static_cast<int>(targets.rows.size(1)));
  std::unique_ptr<TextDistillation> made(new TextDistillation(
      std::move(targets), options, config, std::move(learnt), std::move(batches)));
  SEMSAM_RETURN_IF_ERROR(CatchTorch([&]() -> absl::Status {
    if (start.empty()) {
      start = StartText(config, made->batches_.pieces(), made->learnt_rows_, options.batches.seed);
    }
    for (auto& [name, weight] : start) weight.requires_grad_(true);
    SEMSAM_ASSIGN_OR_RETURN(made->optimizer_,
                            Optimizer::Create(config, std::move(start), options.optimizer));
    return absl::OkStatus();
  }));
  return made;
}

TextDistillation::TextDistillation(TextTargets targets, const TextDistillationOptions& options,
                                   ModelConfig config, std::vector<int64_t> learnt,
                                   TextBatches batches)
    : options_(options),
      config_(std::move(config)),
      targets_(std::move(targets)),
      learnt_(std::move(learnt)),
      learnt_rows_(targets_.rows.index_select(0, at::tensor(at::ArrayRef<int64_t>(learnt_)))),
      batches_(std::move(batches)) {}

absl::StatusOr<TextStep> TextDistillation::Step() {
  return CatchTorch([&]() -> absl::StatusOr<TextStep> {
    const TextBatch& batch = batches_.Get(steps());
    const TextEncoder encoder(*config_.text, TensorMap(optimizer_->parameters()),
                              ops::Path::kTraining);
    const at::Tensor rows =
        learnt_rows_.index_select(0, at::tensor(at::ArrayRef<int64_t>(batch.names)));
    const TextLoss loss = CompareTexts(encoder.Forward(batch.sequences), rows, options_.loss);
    loss.total.backward();
    TextStep step = {.distance = loss.distance.item<double>(),
                     .relation = loss.relation.item<double>()};
    SEMSAM_ASSIGN_OR_RETURN(step.optimizer, optimizer_->Step());
    step.step = steps();
    return step;
  });
}

absl::StatusOr<TextScore> TextDistillation::Score(int64_t names) const {
  std::vector<int64_t> held_out;
  for (size_t i = 0; i < targets_.held_out.size(); ++i) {
    if (targets_.held_out[i]) held_out.push_back(static_cast<int64_t>(i));
  }
  const int64_t count = std::min<int64_t>(names, static_cast<int64_t>(held_out.size()));
  if (count < 2) return TextScore{};
  std::vector<std::string> texts;
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) {
    chosen.push_back(held_out[i * static_cast<int64_t>(held_out.size()) / count]);
    texts.push_back(targets_.texts[chosen.back()]);
  }
  SEMSAM_ASSIGN_OR_RETURN(const at::Tensor embeddings, EmbedNames(config_, Weights(), texts));
  return CatchTorch([&] {
    const c10::NoGradGuard no_grad;
    const at::Tensor rows =
        targets_.rows.index_select(0, at::tensor(at::ArrayRef<int64_t>(chosen)));
    return ScoreTexts(embeddings, rows);
  });
}

std::string TextDistillation::Recipe() const {
  const TextConfig& text = options_.text;
  const TextBatchOptions& batches = options_.batches;
  const OptimizerOptions& optimizer = options_.optimizer;
  const uint64_t names = Fnv1a64(absl::StrJoin(targets_.texts, "\n"));
  return absl::StrCat(
      "text ",
      absl::StrJoin({text.width, text.layers, text.heads, text.context, text.mlp_ratio,
                     text.token_rank, config_.decoder.text_dim},
                    " "),
      "; batches ", batches.seed, " ", batches.texts, " ", batches.phrase_share, " ",
      batches.unknown_share, "; loss ", options_.loss.relation_weight, " ",
      options_.loss.relation_temperature, "; optimizer ", optimizer.learning_rate, " ",
      optimizer.weight_decay, " ", optimizer.clip_norm, " ", optimizer.average_decay, " ",
      optimizer.schedule.total_steps, " ", optimizer.schedule.decay, " ",
      absl::StrJoin(optimizer.schedule.decay_at, ","), " ", optimizer.schedule.warmup_steps,
      "; names ", names, options_.hold_out ? "" : " all");
}

Checkpoint TextDistillation::Save() const {
  return {.tensors = optimizer_->State(),
          .counters = {{"steps", steps()}},
          .random = {},
          .recipe = Recipe()};
}

absl::Status TextDistillation::Resume(const Checkpoint& checkpoint) {
  if (const std::string recipe = Recipe(); checkpoint.recipe != recipe) {
    return absl::FailedPreconditionError(absl::StrCat("checkpoint: it is of another training: \"",
                                                      checkpoint.recipe, "\", this one is \"",
                                                      recipe, "\""));
  }
  const auto steps = checkpoint.counters.find("steps");
  if (steps == checkpoint.counters.end()) {
    return absl::InvalidArgumentError("checkpoint: steps is missing");
  }
  return optimizer_->Restore(checkpoint.tensors, steps->second);
}

NamedTensors TextDistillation::Weights() const {
  NamedTensors weights;
  for (const auto& [name, average] : optimizer_->averages()) weights[name] = average.clone();
  if (const std::vector<int32_t>& unmet = batches_.unmet(); !unmet.empty()) {
    const c10::NoGradGuard no_grad;
    const at::Tensor& rows = weights.at(kTokens);
    const at::Tensor unknown = rows.select(0, unmet.front()).clone();
    rows.index_fill_(0, at::tensor(at::ArrayRef<int32_t>(unmet), at::kLong), 0);
    rows.index_add_(0, at::tensor(at::ArrayRef<int32_t>(unmet), at::kLong),
                    unknown.expand({static_cast<int64_t>(unmet.size()), unknown.size(0)}));
  }
  return weights;
}

absl::StatusOr<at::Tensor> EmbedNames(const ModelConfig& config, const NamedTensors& weights,
                                      absl::Span<const std::string> names) {
  return CatchTorch([&]() -> absl::StatusOr<at::Tensor> {
    const c10::NoGradGuard no_grad;
    SEMSAM_ASSIGN_OR_RETURN(
        const std::unique_ptr<TextEmbedder> embedder,
        TextEmbedder::Create(*config.text, TensorMap(weights), ops::Path::kNative));
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<float> values,
                            embedder->Embed(names, TextMode::kPlain));
    return at::tensor(at::ArrayRef<float>(values))
        .view({static_cast<int64_t>(names.size()), config.decoder.text_dim});
  });
}

}  // namespace semsam
