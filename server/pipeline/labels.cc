#include "server/pipeline/labels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

constexpr int kDefaultMaxLabels = 3;

bool HasWords(const std::optional<UserWords>& list) { return list.has_value() && !list->empty(); }

// The best labels of one mask; `logits` [table.size()].
std::vector<MaskLabel> BestLabels(const WordTable& table, absl::Span<const float> logits,
                                  const LabelPlan& plan) {
  std::vector<int> order;
  for (int i = 0; i < table.size(); ++i) {
    if (std::isfinite(logits[i])) order.push_back(i);  // NaN has no place in an order
  }
  const size_t count = std::min(order.size(), static_cast<size_t>(plan.max_labels));
  std::partial_sort(
      order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
      [&](int a, int b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  order.resize(count);
  std::vector<MaskLabel> labels;
  for (const int i : order) {
    const float score = 1 / (1 + std::exp(-logits[i]));
    if (plan.min_score.has_value() && !(score >= *plan.min_score)) break;
    labels.push_back({.name = table.names[i],
                      .score = score,
                      .logit = logits[i],
                      .word_index = table.word_index[i]});
  }
  return labels;
}

absl::Status ScoreList(const Segmenter& segmenter, LabelHead head,
                       const std::optional<WordTable>& table, const LabelPlan& plan,
                       absl::Span<const float> queries, std::vector<MaskLabels>& out) {
  if (!table.has_value()) return absl::OkStatus();
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<float> logits,
                          segmenter.ScoreLabels(head, queries, table->embeddings));
  if (logits.size() != out.size() * table->terms.size()) {
    return absl::InternalError("the model's label scores have the wrong shape");
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const auto row = absl::MakeConstSpan(logits).subspan(i * table->terms.size(), table->size());
    (head == LabelHead::kObject ? out[i].objects : out[i].parts) = BestLabels(*table, row, plan);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<WordTable*> LabelPlan::tables() {
  std::vector<WordTable*> all;
  if (objects.has_value()) all.push_back(&*objects);
  if (parts.has_value()) all.push_back(&*parts);
  return all;
}

absl::StatusOr<std::unique_ptr<ByteBudget::Reservation>> ReserveWords(int64_t words,
                                                                      const ModelConfig& config,
                                                                      ByteBudget& budget,
                                                                      absl::Duration retry_after) {
  auto memory = std::make_unique<ByteBudget::Reservation>(budget);
  if (!memory->GrowTo(WordBytes(words, config.decoder.text_dim))) {
    return Overloaded(reason::kMemoryFull, "the calls under way hold too many words", retry_after);
  }
  return memory;
}

absl::StatusOr<LabelPlan> PlanLabels(const LabelOptions& options, const ModelInfo& model,
                                     const WordLimits& limits, ByteBudget& budget,
                                     absl::Duration retry_after) {
  const ModelConfig& config = model.config;
  LabelPlan plan;
  plan.min_score = options.min_score;
  plan.max_labels =
      options.max_labels == 0
          ? kDefaultMaxLabels
          : static_cast<int>(std::min<uint32_t>(options.max_labels, limits.max_words));
  if (options.min_score.has_value() && !(*options.min_score >= 0 && *options.min_score <= 1)) {
    return InvalidField("labels.min_score", "must lie in [0, 1]");
  }
  if (HasWords(options.objects)) {
    if (!config.capabilities.object_labels) {
      return CapabilityMissing("labels.objects", "the loaded model cannot name objects");
    }
    SEMSAM_ASSIGN_OR_RETURN(const UserWords words,
                            ResolveWords(*options.objects, "labels.objects",
                                         model.vocabulary.objects, model.vocabulary));
    SEMSAM_ASSIGN_OR_RETURN(plan.objects, CleanWords(words, "labels.objects", limits));
  }
  if (HasWords(options.parts)) {
    if (!config.capabilities.part_labels) {
      return CapabilityMissing("labels.parts", "the loaded model cannot name parts");
    }
    SEMSAM_ASSIGN_OR_RETURN(
        const UserWords words,
        ResolveWords(*options.parts, "labels.parts", model.vocabulary.parts, model.vocabulary));
    SEMSAM_ASSIGN_OR_RETURN(plan.parts, CleanWords(words, "labels.parts", limits));
  }
  int64_t words = 0;
  for (const WordTable* table : plan.tables()) words += table->size();
  SEMSAM_ASSIGN_OR_RETURN(plan.memory, ReserveWords(words, config, budget, retry_after));
  return plan;
}

absl::StatusOr<std::vector<MaskLabels>> LabelMasks(const Segmenter& segmenter,
                                                   const LabelPlan& plan,
                                                   absl::Span<const float> queries, size_t masks) {
  std::vector<MaskLabels> labels(masks);
  SEMSAM_RETURN_IF_ERROR(
      ScoreList(segmenter, LabelHead::kObject, plan.objects, plan, queries, labels));
  SEMSAM_RETURN_IF_ERROR(ScoreList(segmenter, LabelHead::kPart, plan.parts, plan, queries, labels));
  return labels;
}

}  // namespace semsam
