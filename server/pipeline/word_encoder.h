// The words stage: from cleaned words to text embeddings, from the cache or by the
// model.
//
// Guarantees
//   - What the cache misses is encoded in chunks of bounded work, one queued at a
//     time a call, each where it waits least: calls take turns, and clicks go in between.
//   - A word that several calls miss at once is encoded once: each looks again when
//     its turn at the model comes.
//   - Cancellation and deadline are honoured between chunks; what was encoded until
//     then stays in the cache.
// Thread-safe.
#ifndef SEMSAM_SERVER_PIPELINE_WORD_ENCODER_H_
#define SEMSAM_SERVER_PIPELINE_WORD_ENCODER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "model/base/clock.h"
#include "model/segmenter.h"
#include "server/batching/call_limits.h"
#include "server/cache/text_cache.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/model_pool.h"
#include "server/pipeline/words.h"

namespace semsam {

class WordEncoder {
 public:
  // Words done, of all words of the call; those known count as done.
  using Progress = std::function<void(int done, int total)>;
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // Everything passed by reference outlives the encoder. `max_batch_texts`: texts a
  // model call; a word is one text, or one a template in an ensemble.
  WordEncoder(TextCache& cache, ModelPool& models, const Clock& clock, Metrics& metrics,
              int64_t max_batch_texts);

  // Fills in the embeddings of `tables`, which stay in place until `done`. `done`
  // runs exactly once, here and now if nothing is missing, else on the model's
  // thread; `on_progress` (may be null) only if something is.
  void Encode(absl::Span<WordTable* const> tables, const CallLimits& limits, Progress on_progress,
              Done done);

 private:
  struct Place {
    WordTable* table = nullptr;
    size_t term = 0;
  };
  struct Run;

  TextKey Key(const Place& place) const;
  absl::Span<float> Row(const Place& place) const;
  size_t ChunkSize(const Run& run) const;
  void SubmitChunk(const std::shared_ptr<Run>& run);
  void RunChunk(const std::shared_ptr<Run>& run, size_t size, Segmenter& segmenter);
  absl::Status EncodeChunk(absl::Span<const Place> places, Segmenter& segmenter);

  TextCache& cache_;
  ModelPool& models_;
  const Clock& clock_;
  Metrics& metrics_;
  const int64_t max_batch_texts_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_WORD_ENCODER_H_
