// An engine over fakes, and blocking calls into it.
#ifndef SEMSAM_TESTS_SERVER_PIPELINE_ENGINE_FIXTURE_H_
#define SEMSAM_TESTS_SERVER_PIPELINE_ENGINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "model/base/clock.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"
#include "tests/fakes/fake_image_stages.h"
#include "tests/fakes/fake_segmenter.h"
#include "tests/fakes/model_gate.h"

namespace semsam {

// What a segment call handed out; the engine may still write to it when the test
// has gone. Thread-safe.
class SegmentLog {
 public:
  SegmentSink Sink(int64_t window_bytes = int64_t{1} << 20) {
    return {.on_progress =
                [state = state_](const CallProgress& progress) {
                  MutexLock lock(state->mutex);
                  state->progress.push_back(progress);
                },
            .on_mask =
                [state = state_](SegmentMask mask) {
                  MutexLock lock(state->mutex);
                  state->masks.push_back(std::move(mask));
                  state->changed.NotifyAll();
                },
            .on_done =
                [state = state_](absl::StatusOr<SegmentSummary> summary) {
                  MutexLock lock(state->mutex);
                  ++state->done_calls;
                  state->summary = std::move(summary);
                  state->changed.NotifyAll();
                },
            .window_bytes = window_bytes};
  }

  absl::StatusOr<SegmentSummary> Wait() {
    MutexLock lock(state_->mutex);
    while (state_->done_calls == 0) state_->changed.Wait(state_->mutex);
    return state_->summary;
  }
  void WaitForMasks(size_t count) {
    MutexLock lock(state_->mutex);
    while (state_->masks.size() < count) state_->changed.Wait(state_->mutex);
  }
  std::vector<SegmentMask> masks() const {
    MutexLock lock(state_->mutex);
    return state_->masks;
  }
  int done_calls() const {
    MutexLock lock(state_->mutex);
    return state_->done_calls;
  }
  std::vector<CallProgress> progress() const {
    MutexLock lock(state_->mutex);
    return state_->progress;
  }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    std::vector<CallProgress> progress ABSL_GUARDED_BY(mutex);
    std::vector<SegmentMask> masks ABSL_GUARDED_BY(mutex);
    int done_calls ABSL_GUARDED_BY(mutex) = 0;
    absl::StatusOr<SegmentSummary> summary ABSL_GUARDED_BY(mutex) = absl::UnknownError("not done");
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

// The outcome of an upload; outlives the test as SegmentLog does. Thread-safe.
class UploadLog {
 public:
  Engine::UploadDone Done() {
    return [state = state_](absl::StatusOr<UploadedImage> image) {
      MutexLock lock(state->mutex);
      ++state->calls;
      state->image = std::move(image);
      state->changed.NotifyAll();
    };
  }
  absl::StatusOr<UploadedImage> Wait() {
    MutexLock lock(state_->mutex);
    while (state_->calls == 0) state_->changed.Wait(state_->mutex);
    return state_->image;
  }
  int calls() const {
    MutexLock lock(state_->mutex);
    return state_->calls;
  }

 private:
  struct State {
    Mutex mutex;
    CondVar changed;
    int calls ABSL_GUARDED_BY(mutex) = 0;
    absl::StatusOr<UploadedImage> image ABSL_GUARDED_BY(mutex) = absl::UnknownError("not done");
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class EngineFixture : public ::testing::Test {
 protected:
  static ModelConfig Config() {
    ModelConfig config = SwinT();
    config.short_edge_px = 256;
    return config;
  }

  // Builds the engine; call once, after the options below are set.
  void Start() {
    fake_options_.config = with_words_ ? WithWords(Config()) : Config();
    fake_options_.vocabulary = vocabulary_;
    if (!fake_options_.on_encode) fake_options_.on_encode = encodes_.Hook();
    if (!fake_options_.on_decode) fake_options_.on_decode = decodes_.Hook();
    if (!fake_options_.on_text) fake_options_.on_text = texts_.Hook();
    if (!fake_options_.on_vocabulary) fake_options_.on_vocabulary = vocabularies_.Hook();
    segmenter_ = std::make_unique<FakeSegmenter>(fake_options_);
    stages_ = std::make_unique<FakeImageStages>(Config(), on_threshold_, mask_bytes_);
    auto engine = Engine::Create(options_, {segmenter_.get()}, *stages_, clock_, metrics_, faults_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void TearDown() override {
    encodes_.Open();
    decodes_.Open();
    texts_.Open();
    vocabularies_.Open();
    if (engine_ != nullptr) engine_->Shutdown();
    if (segmenter_ != nullptr) {
      EXPECT_EQ(segmenter_->overlapping_calls(), 0);
    }
  }

  std::string NewSession() {
    auto session = engine_->CreateSession({}, absl::ZeroDuration());
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? session->session_id : "";
  }

  void StartUpload(const std::string& session, const std::string& bytes, UploadLog& log,
                   CallLimits limits = {}) {
    auto upload = engine_->BeginUpload(limits.tenant, {.session_id = session});
    ASSERT_TRUE(upload.ok()) << upload.status();
    ASSERT_TRUE(upload->Append(bytes).ok());
    engine_->FinishUpload(*std::move(upload), std::move(limits), log.Done());
  }

  absl::StatusOr<UploadedImage> Upload(const std::string& session, const std::string& bytes) {
    UploadLog log;
    StartUpload(session, bytes, log);
    return log.Wait();
  }

  // A session that holds one image.
  ImageReference NewImage(int width = 80, int height = 64, const std::string& seed = "") {
    const std::string session = NewSession();
    auto image = Upload(session, FakeImageBytes(width, height, seed));
    EXPECT_TRUE(image.ok()) << image.status();
    return {session, image.ok() ? image->image.image_id : ""};
  }

  static UserPrompt Click(float x, float y, std::string tag = "") {
    return {.shape = UserClick{x, y}, .tag = std::move(tag)};
  }

  static SegmentRequest ClickOn(ImageReference image, SegmentOptions options = {}) {
    return {.image = std::move(image), .prompts = {Click(40, 32)}, .options = std::move(options)};
  }

  absl::StatusOr<SegmentSummary> Segment(SegmentRequest request, SegmentLog& log,
                                         CallLimits limits = {}) {
    engine_->Segment(std::move(request), std::move(limits), log.Sink());
    return log.Wait();
  }

  // Clicks on all of `images` from four threads, every fifth click given up at once: each
  // is answered exactly once, with masks, CANCELLED, or one of the reasons `refusals`.
  void ClickFromManyThreads(const std::vector<ImageReference>& images,
                            const std::vector<std::string_view>& refusals) {
    constexpr int kThreads = 4;
    constexpr int kRounds = 40;
    std::map<std::string, int> unexpected[kThreads];
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kRounds; ++i) {
          SegmentLog log;
          auto flag = std::make_shared<CancelFlag>();
          auto handle = engine_->Segment(ClickOn(images[(t + i) % images.size()]), {.cancel = flag},
                                         log.Sink());
          if (i % 5 == 0) {
            flag->Cancel();
            if (handle != nullptr) handle->Wake();
            engine_->Tick();
          }
          const absl::Status status = log.Wait().status();
          const auto reason = ErrorReason(status);
          const bool refused = reason.has_value() && std::find(refusals.begin(), refusals.end(),
                                                               *reason) != refusals.end();
          const bool fine = status.ok() || absl::IsCancelled(status) || refused;
          if (!fine || log.done_calls() != 1) ++unexpected[t][status.ToString()];
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& of_thread : unexpected) {
      for (const auto& [status, count] : of_thread) ADD_FAILURE() << count << " times " << status;
    }
  }

  bool with_words_ = false;
  ModelVocabulary vocabulary_;
  EngineOptions options_;
  FakeSegmenterOptions fake_options_;
  std::function<void()> on_threshold_;
  size_t mask_bytes_ = 0;

  FaultListener* faults_ = nullptr;

  FakeClock clock_;
  Metrics metrics_{MetricsInfo{}};
  ModelGate encodes_;
  ModelGate decodes_;
  ModelGate texts_;
  ModelGate vocabularies_;
  std::unique_ptr<FakeSegmenter> segmenter_;
  std::unique_ptr<FakeImageStages> stages_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_PIPELINE_ENGINE_FIXTURE_H_
