// The model, called so that one call's failure is not another's.
//
// Guarantees
//   - What the device had no memory for runs once more in two halves, of the batch or,
//     alone, of its prompts or words; what was answered is not asked again.
//   - What failed inside the model beside others (INTERNAL) runs once more alone: one
//     bad request takes no other with it.
//   - What still finds no memory is RESOURCE_EXHAUSTED with the reason MEMORY_FULL and
//     a time to come back, in words of ours: the device's stay here.
//   - What a lost device answers is not asked again; callers get DEVICE_FAULT in words of
//     ours, and fault() says what the device said.
//   - An answer is the same whether it took one run or more.
// As thread-safe as the model.
#ifndef SEMSAM_SERVER_PIPELINE_RESILIENT_SEGMENTER_H_
#define SEMSAM_SERVER_PIPELINE_RESILIENT_SEGMENTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"
#include "server/metrics/metrics.h"

namespace semsam {

class ResilientSegmenter final : public Segmenter {
 public:
  // `model` and `metrics` outlive this. `retry_after`: what a caller is told to wait
  // where memory is short.
  ResilientSegmenter(Segmenter& model, absl::Duration retry_after, Metrics& metrics)
      : model_(model), retry_after_(retry_after), metrics_(metrics) {}

  // OK until the first DEVICE_FAULT, then that for good. On any thread.
  absl::Status fault() const {
    MutexLock lock(mutex_);
    return fault_;
  }

  const ModelInfo& info() const override { return model_.info(); }
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> Encode(
      absl::Span<const Rgb8Image* const> images) override;
  std::vector<absl::StatusOr<DecodeResult>> Decode(
      absl::Span<const DecodeRequest> requests) override;
  int64_t EmbeddingBytes(ImageSize network_size) const override;
  absl::StatusOr<MemoryUse> Memory() const override;
  absl::StatusOr<StoredEmbedding> Store(const Embedding& embedding,
                                        StorageFormat format) const override;
  absl::StatusOr<std::shared_ptr<const Embedding>> Load(const StoredEmbedding& stored) override;
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
  template <typename Result, typename Request, typename Call>
  std::vector<absl::StatusOr<Result>> Run(absl::Span<const Request> requests, const Call& call);
  absl::StatusOr<DecodeResult> DecodeInHalves(const DecodeRequest& request);
  absl::Status ForClient(absl::Status status);

  Segmenter& model_;
  const absl::Duration retry_after_;
  Metrics& metrics_;

  mutable Mutex mutex_;
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_RESILIENT_SEGMENTER_H_
