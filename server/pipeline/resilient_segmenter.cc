#include "server/pipeline/resilient_segmenter.h"

#include <cstddef>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

// The model's own refusal, not one of ours with a reason.
bool IsOutOfMemory(const absl::Status& status) {
  return absl::IsResourceExhausted(status) && !ErrorReason(status).has_value();
}

bool IsFault(const absl::Status& status) { return absl::IsInternal(status); }

template <typename Result>
std::vector<size_t> Where(const std::vector<absl::StatusOr<Result>>& results,
                          bool (*is)(const absl::Status&)) {
  std::vector<size_t> indices;
  for (size_t i = 0; i < results.size(); ++i) {
    if (is(results[i].status())) indices.push_back(i);
  }
  return indices;
}

template <typename Result, typename Request, typename Call>
std::vector<absl::StatusOr<Result>> Ask(absl::Span<const Request> requests, const Call& call) {
  std::vector<absl::StatusOr<Result>> results = call(requests);
  results.resize(requests.size(), absl::InternalError("the model left out a result"));
  return results;
}

// Puts new results in the place of those that are named.
template <typename Result, typename Request, typename Call>
void AskAgain(absl::Span<const Request> requests, absl::Span<const size_t> indices,
              const Call& call, std::vector<absl::StatusOr<Result>>& results) {
  if (indices.empty()) return;
  std::vector<Request> some;
  some.reserve(indices.size());
  for (const size_t i : indices) some.push_back(requests[i]);
  std::vector<absl::StatusOr<Result>> again = Ask<Result>(absl::Span<const Request>(some), call);
  for (size_t k = 0; k < indices.size(); ++k) results[indices[k]] = std::move(again[k]);
}

template <typename T>
void Append(std::vector<T> tail, std::vector<T>& to) {
  to.insert(to.end(), tail.begin(), tail.end());
}

}  // namespace

template <typename Result, typename Request, typename Call>
std::vector<absl::StatusOr<Result>> ResilientSegmenter::Run(absl::Span<const Request> requests,
                                                            const Call& call) {
  std::vector<absl::StatusOr<Result>> results = Ask<Result>(requests, call);
  if (requests.size() == 1 || !Where(results, IsDeviceFault).empty()) return results;
  const std::vector<size_t> starved = Where(results, IsOutOfMemory);
  const std::vector<size_t> failed = Where(results, IsFault);
  if (!starved.empty()) {
    metrics_.RecordModelRetry(RetryCause::kMemory);
    const absl::Span<const size_t> all = starved;
    AskAgain(requests, all.first((all.size() + 1) / 2), call, results);
    AskAgain(requests, all.subspan((all.size() + 1) / 2), call, results);
  }
  if (!failed.empty()) {
    metrics_.RecordModelRetry(RetryCause::kFault);
    for (const size_t& i : failed) AskAgain(requests, absl::MakeConstSpan(&i, 1), call, results);
  }
  return results;
}

absl::Status ResilientSegmenter::ForClient(absl::Status status) {
  if (IsDeviceFault(status)) {
    MutexLock lock(mutex_);
    if (fault_.ok()) fault_ = std::move(status);
    return DeviceFault("the device failed");
  }
  if (!IsOutOfMemory(status)) return status;
  return Overloaded(reason::kMemoryFull, "the device has no memory left for this", retry_after_);
}

std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> ResilientSegmenter::Encode(
    absl::Span<const Rgb8Image* const> images) {
  auto results = Run<std::shared_ptr<const Embedding>>(
      images, [this](absl::Span<const Rgb8Image* const> some) { return model_.Encode(some); });
  for (auto& result : results) {
    if (!result.ok()) result = ForClient(std::move(result).status());
  }
  return results;
}

std::vector<absl::StatusOr<DecodeResult>> ResilientSegmenter::Decode(
    absl::Span<const DecodeRequest> requests) {
  auto results = Run<DecodeResult>(
      requests, [this](absl::Span<const DecodeRequest> some) { return model_.Decode(some); });
  if (requests.size() == 1 && IsOutOfMemory(results.front().status())) {
    results.front() = DecodeInHalves(requests.front());
  }
  for (auto& result : results) {
    if (!result.ok()) result = ForClient(std::move(result).status());
  }
  return results;
}

absl::StatusOr<DecodeResult> ResilientSegmenter::DecodeInHalves(const DecodeRequest& request) {
  const size_t prompts = request.prompts.size();
  // Prompts that see each other have no halves.
  if (prompts < 2 || request.joint_attention) return absl::ResourceExhaustedError("");
  metrics_.RecordModelRetry(RetryCause::kMemory);
  const auto middle = request.prompts.begin() + static_cast<ptrdiff_t>(prompts / 2);
  DecodeRequest half{.embedding = request.embedding,
                     .prompts = {request.prompts.begin(), middle},
                     .levels = request.levels};
  const auto decode = [this](absl::Span<const DecodeRequest> one) { return model_.Decode(one); };
  SEMSAM_ASSIGN_OR_RETURN(DecodeResult result,
                          Ask<DecodeResult>(absl::MakeConstSpan(&half, 1), decode).front());
  half.prompts.assign(middle, request.prompts.end());
  SEMSAM_ASSIGN_OR_RETURN(DecodeResult rest,
                          Ask<DecodeResult>(absl::MakeConstSpan(&half, 1), decode).front());
  for (MaskScores& scores : rest.scores) scores.prompt += static_cast<int>(prompts / 2);
  Append(std::move(rest.scores), result.scores);
  Append(std::move(rest.logits), result.logits);
  Append(std::move(rest.query_embeddings), result.query_embeddings);
  return result;
}

int64_t ResilientSegmenter::EmbeddingBytes(ImageSize network_size) const {
  return model_.EmbeddingBytes(network_size);
}

absl::StatusOr<MemoryUse> ResilientSegmenter::Memory() const { return model_.Memory(); }

absl::StatusOr<StoredEmbedding> ResilientSegmenter::Store(const Embedding& embedding,
                                                          StorageFormat format) const {
  return model_.Store(embedding, format);
}

absl::StatusOr<std::shared_ptr<const Embedding>> ResilientSegmenter::Load(
    const StoredEmbedding& stored) {
  auto embedding = model_.Load(stored);
  if (!embedding.ok()) return ForClient(std::move(embedding).status());
  return embedding;
}

absl::StatusOr<std::shared_ptr<const Embedding>> ResilientSegmenter::ProjectValues(
    const std::shared_ptr<const Embedding>& embedding) {
  auto projected = model_.ProjectValues(embedding);
  if (!projected.ok()) return ForClient(std::move(projected).status());
  return projected;
}

absl::StatusOr<std::vector<float>> ResilientSegmenter::EncodeText(
    absl::Span<const std::string> terms, TextMode mode) {
  auto rows = model_.EncodeText(terms, mode);
  if (terms.size() > 1 && IsOutOfMemory(rows.status())) {
    metrics_.RecordModelRetry(RetryCause::kMemory);
    rows = model_.EncodeText(terms.first(terms.size() / 2), mode);
    if (rows.ok()) {
      auto rest = model_.EncodeText(terms.subspan(terms.size() / 2), mode);
      if (!rest.ok()) return ForClient(std::move(rest).status());
      Append(*std::move(rest), *rows);
    }
  }
  if (!rows.ok()) return ForClient(std::move(rows).status());
  return rows;
}

absl::StatusOr<std::vector<float>> ResilientSegmenter::ScoreLabels(
    LabelHead head, absl::Span<const float> query_embeddings,
    absl::Span<const float> text_embeddings) const {
  return model_.ScoreLabels(head, query_embeddings, text_embeddings);
}

std::vector<absl::StatusOr<VocabularyResult>> ResilientSegmenter::SegmentVocabulary(
    absl::Span<const VocabularyRequest> requests) {
  auto results = Run<VocabularyResult>(requests, [this](absl::Span<const VocabularyRequest> some) {
    return model_.SegmentVocabulary(some);
  });
  for (auto& result : results) {
    if (!result.ok()) result = ForClient(std::move(result).status());
  }
  return results;
}

}  // namespace semsam
