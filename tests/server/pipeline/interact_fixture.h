// A stream of clicks over an engine of fakes.
#ifndef SEMSAM_TESTS_SERVER_PIPELINE_INTERACT_FIXTURE_H_
#define SEMSAM_TESTS_SERVER_PIPELINE_INTERACT_FIXTURE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/pipeline/interact_calls.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {

// What one stream brought; the engine may still write to it when the test has gone.
// Thread-safe.
class StreamLog {
 public:
  InteractSink Sink() {
    return {
        .on_progress = [state = state_](const ClickRef&, const CallProgress&) { state->Count(); },
        .on_mask =
            [state = state_](const ClickRef& click, const SegmentMask& mask) {
              state->Count();
              MutexLock lock(state->mutex);
              state->masks[click.number].push_back(mask);
              state->changed.NotifyAll();
            },
        .on_answer =
            [state = state_](const ClickRef& click, const absl::StatusOr<SegmentSummary>& answer) {
              state->Count();
              MutexLock lock(state->mutex);
              state->answers.emplace_back(click, answer);
              state->changed.NotifyAll();
            },
        .on_end =
            [state = state_](absl::Status status) {
              MutexLock lock(state->mutex);
              state->ends.push_back(std::move(status));
              state->changed.NotifyAll();
            }};
  }

  // The answer of the first click with this id.
  absl::StatusOr<SegmentSummary> Wait(uint64_t correlation_id) {
    MutexLock lock(state_->mutex);
    while (true) {
      for (const auto& [click, answer] : state_->answers) {
        if (click.correlation_id == correlation_id) return answer;
      }
      state_->changed.Wait(state_->mutex);
    }
  }
  void WaitForMasks(uint64_t number, size_t count) {
    MutexLock lock(state_->mutex);
    while (state_->masks[number].size() < count) state_->changed.Wait(state_->mutex);
  }
  absl::Status WaitForEnd() {
    MutexLock lock(state_->mutex);
    while (state_->ends.empty()) state_->changed.Wait(state_->mutex);
    return state_->ends.front();
  }
  // Ids in the order of their answers.
  std::vector<uint64_t> answered() const {
    MutexLock lock(state_->mutex);
    std::vector<uint64_t> ids;
    for (const auto& [click, answer] : state_->answers) ids.push_back(click.correlation_id);
    return ids;
  }
  size_t masks(uint64_t number) const {
    MutexLock lock(state_->mutex);
    return state_->masks[number].size();
  }
  size_t all_masks() const {
    MutexLock lock(state_->mutex);
    size_t total = 0;
    for (const auto& [number, masks] : state_->masks) total += masks.size();
    return total;
  }
  size_t ends() const {
    MutexLock lock(state_->mutex);
    return state_->ends.size();
  }
  int late_calls() const {
    MutexLock lock(state_->mutex);
    return state_->late_calls;
  }

 private:
  struct State {
    // Nothing may come after the end.
    void Count() {
      MutexLock lock(mutex);
      late_calls += ends.empty() ? 0 : 1;
    }

    Mutex mutex;
    CondVar changed;
    std::map<uint64_t, std::vector<SegmentMask>> masks ABSL_GUARDED_BY(mutex);
    std::vector<std::pair<ClickRef, absl::StatusOr<SegmentSummary>>> answers ABSL_GUARDED_BY(mutex);
    std::vector<absl::Status> ends ABSL_GUARDED_BY(mutex);
    int late_calls ABSL_GUARDED_BY(mutex) = 0;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class InteractFixture : public EngineFixture {
 protected:
  std::shared_ptr<InteractCalls> Open(StreamLog& log) {
    auto stream = engine_->Interact({}, log.Sink());
    EXPECT_TRUE(stream.ok()) << stream.status();
    return stream.ok() ? *std::move(stream) : nullptr;
  }

  // A stream about an image of its own.
  std::shared_ptr<InteractCalls> OpenOnNewImage(StreamLog& log, SegmentOptions options = {}) {
    auto stream = Open(log);
    if (stream != nullptr) stream->Start({.image = NewImage(), .options = std::move(options)});
    return stream;
  }

  static InteractClick At(uint64_t id, bool latest_wins = false) {
    return {.correlation_id = id,
            .prompts = std::vector<UserPrompt>{Click(40, 32)},
            .latest_wins = latest_wins};
  }

  // Ends the stream as a client does that sends no more.
  void Finish(InteractCalls& stream, StreamLog& log) {
    stream.Close(absl::OkStatus());
    EXPECT_TRUE(log.WaitForEnd().ok());
    EXPECT_EQ(log.ends(), 1);
    EXPECT_EQ(log.late_calls(), 0);
  }

  std::string Metric(const std::string& series) const { return MetricValue(metrics_, series); }
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_PIPELINE_INTERACT_FIXTURE_H_
