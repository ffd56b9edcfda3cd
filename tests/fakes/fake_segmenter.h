// A Segmenter without a network: deterministic, instant, and obedient.
//
// A prompt's mask at level l is a disc around its centre whose radius shrinks
// with l; logits fall smoothly from inside to outside. Scores fall with the
// level. The same image always gives the same answer, whatever else is in the
// batch.
#ifndef SEMSAM_TESTS_FAKES_FAKE_SEGMENTER_H_
#define SEMSAM_TESTS_FAKES_FAKE_SEGMENTER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"

namespace semsam {

struct FakeSegmenterOptions {
  ModelConfig config = SwinT();
  // What every embedding claims to hold.
  int64_t embedding_bytes = 1000;
  // Run at the start of each call on the model's thread: block on them, or fail.
  // A failure is the result of every entry of the call.
  std::function<absl::Status()> on_encode;
  std::function<absl::Status()> on_decode;
};

// Thread-safe; counts calls that overlap instead of forbidding them.
class FakeSegmenter final : public Segmenter {
 public:
  explicit FakeSegmenter(FakeSegmenterOptions options = {});

  const ModelInfo& info() const override { return info_; }
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> Encode(
      absl::Span<const Rgb8Image* const> images) override;
  std::vector<absl::StatusOr<DecodeResult>> Decode(
      absl::Span<const DecodeRequest> requests) override;

  absl::StatusOr<std::shared_ptr<const Embedding>> ProjectValues(
      const std::shared_ptr<const Embedding>& embedding) override;
  absl::StatusOr<std::vector<float>> EncodeText(absl::Span<const std::string> terms,
                                                TextMode mode) override;
  absl::StatusOr<std::vector<float>> ScoreLabels(
      LabelHead head, absl::Span<const float> query_embeddings,
      absl::Span<const float> text_embeddings) const override;
  std::vector<absl::StatusOr<VocabularyResult>> SegmentVocabulary(
      absl::Span<const VocabularyRequest> requests) override;

  // Radius of a click's disc at `level`, as a share of the image's short edge.
  static double DiscRadius(int level);

  int encoded_images() const { return encoded_images_; }
  int decoded_requests() const { return decoded_requests_; }
  // Calls that began while another was running; must stay 0.
  int overlapping_calls() const { return overlapping_calls_; }
  // Requests a Decode call, in order of the calls.
  std::vector<int> decode_batches() const;

 private:
  class CallGuard;

  const FakeSegmenterOptions options_;
  ModelInfo info_;
  std::atomic<int> running_calls_{0};
  std::atomic<int> overlapping_calls_{0};
  std::atomic<int> encoded_images_{0};
  std::atomic<int> decoded_requests_{0};
  mutable Mutex mutex_;
  std::vector<int> decode_batches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_FAKE_SEGMENTER_H_
