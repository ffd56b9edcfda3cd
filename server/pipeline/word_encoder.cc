#include "server/pipeline/word_encoder.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "model/base/status_macros.h"

namespace semsam {
namespace {

// Phrases of the published ensemble, about: what makes a chunk of words as much
// work in one mode as in the other.
constexpr int64_t kTextsPerEnsemble = 81;

}  // namespace

struct WordEncoder::Run {
  CallLimits limits;
  Progress on_progress;
  Done done;
  std::vector<Place> missing;
  size_t next = 0;  // into missing
  int total = 0;

  void Report() const {
    if (on_progress) on_progress(total - static_cast<int>(missing.size() - next), total);
  }
};

WordEncoder::WordEncoder(TextCache& cache, ModelPool& models, const Clock& clock, Metrics& metrics,
                         int64_t max_batch_texts)
    : cache_(cache),
      models_(models),
      clock_(clock),
      metrics_(metrics),
      max_batch_texts_(max_batch_texts) {}

TextKey WordEncoder::Key(const Place& place) const {
  return {.model_digest = models_.info().digest,
          .term = place.table->terms[place.term],
          .mode = place.table->mode};
}

absl::Span<float> WordEncoder::Row(const Place& place) const {
  const size_t dim = models_.info().config.decoder.text_dim;
  return absl::MakeSpan(place.table->embeddings).subspan(place.term * dim, dim);
}

void WordEncoder::Encode(absl::Span<WordTable* const> tables, const CallLimits& limits,
                         Progress on_progress, Done done) {
  auto run = std::make_shared<Run>(
      Run{.limits = limits, .on_progress = std::move(on_progress), .done = std::move(done)});
  for (WordTable* table : tables) {
    table->embeddings.resize(table->terms.size() * models_.info().config.decoder.text_dim);
    run->total += table->size();
    for (size_t i = 0; i < table->terms.size(); ++i) {
      const Place place{table, i};
      if (!cache_.Find(Key(place), TextCache::Look::kFirst, Row(place))) {
        run->missing.push_back(place);
      }
    }
  }
  if (run->missing.empty()) return run->done(absl::OkStatus());
  run->Report();
  SubmitChunk(run);
}

// Of the words that are next, as many as one call may hold; all of one mode.
size_t WordEncoder::ChunkSize(const Run& run) const {
  const TextMode mode = run.missing[run.next].table->mode;
  const int64_t texts = mode == TextMode::kEnsemble ? kTextsPerEnsemble : 1;
  const size_t most = static_cast<size_t>(std::max<int64_t>(1, max_batch_texts_ / texts));
  size_t size = 0;
  while (size < most && run.next + size < run.missing.size() &&
         run.missing[run.next + size].table->mode == mode) {
    ++size;
  }
  return size;
}

void WordEncoder::SubmitChunk(const std::shared_ptr<Run>& run) {
  models_.LeastLoaded().RunChunk(
      ModelWorker::kText,
      {.tenant = run->limits.tenant,
       .check = [run](absl::Time now) { return run->limits.Check(now); },
       .run = [this, run, size = ChunkSize(*run)](
                  Segmenter& segmenter,
                  absl::Duration /*queued*/) { RunChunk(run, size, segmenter); },
       .drop = [run](absl::Status why) { run->done(std::move(why)); }});
}

void WordEncoder::RunChunk(const std::shared_ptr<Run>& run, size_t size, Segmenter& segmenter) {
  const absl::Status status =
      EncodeChunk(absl::MakeConstSpan(run->missing).subspan(run->next, size), segmenter);
  if (!status.ok()) return run->done(status);
  run->next += size;
  run->Report();
  if (run->next == run->missing.size()) return run->done(absl::OkStatus());
  SubmitChunk(run);
}

absl::Status WordEncoder::EncodeChunk(absl::Span<const Place> places, Segmenter& segmenter) {
  std::vector<std::string> terms;
  std::unordered_map<std::string, size_t> rows;  // by term: two lists may share one
  for (const Place& place : places) {
    if (cache_.Find(Key(place), TextCache::Look::kSecond, Row(place))) continue;
    const std::string& term = place.table->terms[place.term];
    if (rows.try_emplace(term, terms.size()).second) terms.push_back(term);
  }
  if (terms.empty()) return absl::OkStatus();

  const absl::Time start = clock_.Now();
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<float> encoded,
                          segmenter.EncodeText(terms, places.front().table->mode));
  metrics_.RecordStage(Stage::kText, clock_.Now() - start);
  metrics_.RecordBatch(BatchKind::kTerms, static_cast<int64_t>(terms.size()));
  const size_t dim = models_.info().config.decoder.text_dim;
  if (encoded.size() != terms.size() * dim) {
    return absl::InternalError("the model's text embeddings have the wrong shape");
  }
  for (const Place& place : places) {
    const auto row = rows.find(place.table->terms[place.term]);
    if (row == rows.end()) continue;
    const auto values = absl::MakeConstSpan(encoded).subspan(row->second * dim, dim);
    std::copy(values.begin(), values.end(), Row(place).begin());
    cache_.Insert(Key(place), values);
  }
  return absl::OkStatus();
}

}  // namespace semsam
