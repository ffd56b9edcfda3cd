// A Segmenter without a network: deterministic, instant, and obedient.
//
// A prompt's mask at level l is a disc around its centre whose radius shrinks
// with l; logits fall smoothly from inside to outside. Scores fall with the
// level. The same image always gives the same answer, whatever else is in the
// batch.
//
// With words in its configuration (WithWords) it also reads and names: the mask of
// level l is the object "level l" and the part "part l", whatever the image, and
// SegmentVocabulary finds kFakeRegions. A word's vector depends on the word and the
// mode alone; words that differ have nearly nothing in common.
#ifndef SEMSAM_TESTS_FAKES_FAKE_SEGMENTER_H_
#define SEMSAM_TESTS_FAKES_FAKE_SEGMENTER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"

namespace semsam {

// `config`, able to label by objects and parts and to segment by words.
ModelConfig WithWords(ModelConfig config);

// A rectangle that the fake finds in every image: relative to the padded image,
// edges included.
struct FakeRegion {
  const char* object;
  const char* part;
  float x0, y0, x1, y1;
  float logit;  // of the class named so; all others are far below 0
};
// The last is a worse copy of the first, and a learned query.
inline constexpr FakeRegion kFakeRegions[] = {
    {"left", "left half", 0, 0, 0.5f, 1, 4},   {"right", "right half", 0.5f, 0, 1, 1, 3},
    {"top", "top half", 0, 0, 1, 0.5f, 2},     {"left", "left half", 0, 0, 0.45f, 1, 1},
    {"right", "nothing", 0.5f, 0, 1, 0.9f, 1},
};
inline constexpr int kFakeLearnedRegions = 1;

struct FakeSegmenterOptions {
  ModelConfig config = SwinT();
  ModelVocabulary vocabulary;
  std::string digest = std::string(64, 'f');
  // What every embedding claims to hold.
  int64_t embedding_bytes = 1000;
  // How full the device is.
  absl::StatusOr<MemoryUse> memory = MemoryUse{.used_bytes = 2000, .total_bytes = 10000};
  // Run at the start of each call on the model's thread: block on them, or fail.
  // A failure is the result of every entry of the call.
  std::function<absl::Status()> on_encode;
  std::function<absl::Status()> on_decode;
  std::function<absl::Status()> on_text;
  std::function<absl::Status()> on_vocabulary;
  std::function<absl::Status()> on_load;
  // The same for Store, on whichever thread stores.
  std::function<absl::Status()> on_store;
  // Runs in each Decode after on_decode, with the prompts of its largest request.
  std::function<void(int prompts)> on_prompts;
};

// Thread-safe; counts calls that overlap instead of forbidding them. As a device
// does, it takes only embeddings that it made itself.
class FakeSegmenter final : public Segmenter {
 public:
  explicit FakeSegmenter(FakeSegmenterOptions options = {});

  const ModelInfo& info() const override { return info_; }
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> Encode(
      absl::Span<const Rgb8Image* const> images) override;
  std::vector<absl::StatusOr<DecodeResult>> Decode(
      absl::Span<const DecodeRequest> requests) override;

  int64_t EmbeddingBytes(ImageSize network_size) const override;
  absl::StatusOr<MemoryUse> Memory() const override { return options_.memory; }
  // Text that says whose embedding it is, of which format and of what size.
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

  // Radius of a click's disc at `level`, as a share of the image's short edge.
  static double DiscRadius(int level);

  int encoded_images() const { return encoded_images_; }
  // Embeddings from Encode and Load that somebody holds.
  int embeddings_alive() const { return *embeddings_alive_; }
  // Embeddings that came out of Load, and calls of Store.
  int loads() const { return loads_; }
  int stores() const { return stores_; }
  int decoded_requests() const { return decoded_requests_; }
  // Calls that began while another was running; must stay 0.
  int overlapping_calls() const { return overlapping_calls_; }
  // Images an Encode call, in order of the calls.
  std::vector<int> encode_batches() const;
  // The images of all Encode calls, in order.
  std::vector<ImageSize> encoded_sizes() const;
  // Requests a Decode call, in order of the calls.
  std::vector<int> decode_batches() const;
  // Prompts a request, in order.
  std::vector<int> decoded_prompts() const;
  // Terms an EncodeText call, in order of the calls.
  std::vector<int> text_batches() const;
  int encoded_terms() const;
  // Query embeddings that ScoreLabels saw, a list of words counting once.
  int scored_queries() const { return scored_queries_; }
  int vocabulary_runs() const { return vocabulary_runs_; }
  int projections() const { return projections_; }
  // Requests whose embedding came from ProjectValues.
  int projected_requests() const { return projected_requests_; }
  // Embeddings from ProjectValues that somebody holds.
  int projections_alive() const { return *projections_alive_; }

 private:
  class CallGuard;

  const FakeSegmenterOptions options_;
  const std::shared_ptr<const int> identity_ = std::make_shared<const int>(0);  // an address
  ModelInfo info_;
  std::atomic<int> running_calls_{0};
  std::atomic<int> overlapping_calls_{0};
  std::atomic<int> encoded_images_{0};
  std::atomic<int> decoded_requests_{0};
  std::atomic<int> loads_{0};
  mutable std::atomic<int> stores_{0};
  mutable std::atomic<int> scored_queries_{0};
  std::atomic<int> vocabulary_runs_{0};
  std::atomic<int> projections_{0};
  std::atomic<int> projected_requests_{0};
  const std::shared_ptr<std::atomic<int>> embeddings_alive_ = std::make_shared<std::atomic<int>>(0);
  const std::shared_ptr<std::atomic<int>> projections_alive_ =
      std::make_shared<std::atomic<int>>(0);
  mutable Mutex mutex_;
  std::vector<int> encode_batches_ ABSL_GUARDED_BY(mutex_);
  std::vector<ImageSize> encoded_sizes_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> decode_batches_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> decoded_prompts_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> text_batches_ ABSL_GUARDED_BY(mutex_);
};

// So many of them, each a device of its own; all are told the same.
std::vector<std::unique_ptr<Segmenter>> FakeModels(const FakeSegmenterOptions& options = {},
                                                   int count = 1);

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_FAKE_SEGMENTER_H_
