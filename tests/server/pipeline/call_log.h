#ifndef SEMSAM_TESTS_SERVER_PIPELINE_CALL_LOG_H_
#define SEMSAM_TESTS_SERVER_PIPELINE_CALL_LOG_H_

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/mutex.h"
#include "server/pipeline/engine.h"

namespace semsam {

// What a background call handed out; the engine may still write to it when the test
// has gone. Thread-safe.
template <typename Item, typename Summary>
class CallLog {
 public:
  absl::StatusOr<Summary> Wait() {
    MutexLock lock(state_->mutex);
    while (state_->done_calls == 0) state_->changed.Wait(state_->mutex);
    return state_->summary;
  }
  void WaitForItems(size_t count) {
    MutexLock lock(state_->mutex);
    while (state_->items.size() < count) state_->changed.Wait(state_->mutex);
  }
  std::vector<Item> items() const {
    MutexLock lock(state_->mutex);
    return state_->items;
  }
  std::vector<CallProgress> progress() const {
    MutexLock lock(state_->mutex);
    return state_->progress;
  }
  std::optional<PanopticPicture> panoptic() const {
    MutexLock lock(state_->mutex);
    return state_->panoptic;
  }
  int done_calls() const {
    MutexLock lock(state_->mutex);
    return state_->done_calls;
  }

 protected:
  auto OnProgress() {
    return [state = state_](const CallProgress& progress) {
      MutexLock lock(state->mutex);
      state->progress.push_back(progress);
    };
  }
  auto OnItem() {
    return [state = state_](Item item) {
      MutexLock lock(state->mutex);
      state->items.push_back(std::move(item));
      state->changed.NotifyAll();
    };
  }
  auto OnPanoptic() {
    return [state = state_](PanopticPicture picture) {
      MutexLock lock(state->mutex);
      state->panoptic = std::move(picture);
    };
  }
  auto OnDone() {
    return [state = state_](absl::StatusOr<Summary> summary) {
      MutexLock lock(state->mutex);
      ++state->done_calls;
      state->summary = std::move(summary);
      state->changed.NotifyAll();
    };
  }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    std::vector<CallProgress> progress ABSL_GUARDED_BY(mutex);
    std::vector<Item> items ABSL_GUARDED_BY(mutex);
    std::optional<PanopticPicture> panoptic ABSL_GUARDED_BY(mutex);
    int done_calls ABSL_GUARDED_BY(mutex) = 0;
    absl::StatusOr<Summary> summary ABSL_GUARDED_BY(mutex) = absl::UnknownError("not done");
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class GenerateLog : public CallLog<SegmentMask, GenerateSummary> {
 public:
  GenerateSink Sink(int64_t window_bytes = int64_t{1} << 20) {
    return {.on_progress = OnProgress(),
            .on_mask = OnItem(),
            .on_done = OnDone(),
            .window_bytes = window_bytes};
  }
};

class VocabularyLog : public CallLog<VocabularySegment, VocabularySummary> {
 public:
  VocabularySink Sink(int64_t max_item_bytes = int64_t{4} << 20) {
    return {.on_progress = OnProgress(),
            .on_segment = OnItem(),
            .on_panoptic = OnPanoptic(),
            .on_done = OnDone(),
            .max_item_bytes = max_item_bytes};
  }
};

// The outcome of a RefreshLabels. Thread-safe.
class RefreshLog : public CallLog<MaskLabels, RefreshedLabels> {
 public:
  RefreshDone Done() { return OnDone(); }
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_PIPELINE_CALL_LOG_H_
