// Several devices in one engine. A fake takes only embeddings that it made itself: every
// call that is answered was led to the right one.
#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "model/base/errors.h"
#include "server/cache/sha256.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

class FaultCount final : public FaultListener {
 public:
  void OnDeviceFault(const absl::Status& /*why*/) override {
    MutexLock lock(mutex_);
    ++faults_;
    changed_.NotifyAll();
  }
  int Wait() {
    MutexLock lock(mutex_);
    while (faults_ == 0) changed_.Wait(mutex_);
    return faults_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int faults_ ABSL_GUARDED_BY(mutex_) = 0;
};

class EngineWorkersTest : public EngineFixture {
 protected:
  static constexpr int kDevices = 2;

  struct Gates {
    ModelGate encodes;
    ModelGate decodes;
    ModelGate texts;
  };

  EngineWorkersTest() { faults_ = &fault_count_; }

  // In place of the fixture's: an encode of the first device takes a second.
  void StartAll() {
    std::vector<Segmenter*> models;
    for (int i = 0; i < kDevices; ++i) {
      FakeSegmenterOptions options = fake_options_;
      options.config = WithWords(Config());
      options.on_encode = [this, i, hook = gates_[i].encodes.Hook()] {
        if (i == 0) clock_.Advance(absl::Seconds(1));
        return hook();
      };
      options.on_decode = [this, i, hook = gates_[i].decodes.Hook()] {
        const absl::Status status = hook();
        return i == 0 && lost_ ? DeviceFault("CUDA error: an illegal memory access") : status;
      };
      options.on_text = gates_[i].texts.Hook();
      fakes_.push_back(std::make_unique<FakeSegmenter>(options));
      models.push_back(fakes_.back().get());
    }
    stages_ = std::make_unique<FakeImageStages>(Config());
    auto engine = Engine::Create(options_, models, *stages_, clock_, all_metrics_, faults_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  void TearDown() override {
    for (Gates& gates : gates_) {
      gates.encodes.Open();
      gates.decodes.Open();
      gates.texts.Open();
    }
    EngineFixture::TearDown();
    engine_.reset();  // before what it works with
    for (const auto& fake : fakes_) EXPECT_EQ(fake->overlapping_calls(), 0);
  }

  // Another image that belongs to `device`.
  std::string BytesOf(int device) {
    while (true) {
      std::string bytes = FakeImageBytes(80, 64, std::to_string(next_seed_++));
      if (HomeDevice(Sha256Hex(bytes), kDevices) == device) return bytes;
    }
  }
  ImageReference NewImageOf(int device) {
    const std::string session = NewSession();
    auto image = Upload(session, BytesOf(device));
    EXPECT_TRUE(image.ok()) << image.status();
    return {session, image.ok() ? image->image.image_id : ""};
  }
  absl::Status ClickStatus(const ImageReference& image) {
    SegmentLog log;
    return Segment(ClickOn(image), log).status();
  }
  // From here on it is known how long the first device takes for an image.
  void LearnSpeed() {
    for (int i = 0; i < ServiceEstimate::kMinRuns; ++i) NewImageOf(0);
  }
  std::string Metric(const std::string& series) const { return MetricValue(all_metrics_, series); }
  std::string Placements(const std::string& outcome) const {
    return Metric("semsam_image_placements_total{outcome=\"" + outcome + "\"}");
  }
  // Comes when other threads got so far; ctest has a limit.
  void WaitForMetric(const std::string& series, const std::string& value) const {
    while (Metric(series) != value) {
    }
  }

  std::atomic<bool> lost_{false};
  FaultCount fault_count_;
  Metrics all_metrics_{MetricsInfo{.workers = kDevices}};
  Gates gates_[kDevices];
  std::vector<std::unique_ptr<FakeSegmenter>> fakes_;
  int next_seed_ = 0;
};

TEST_F(EngineWorkersTest, EachImageIsServedWhereItWasMade) {
  StartAll();
  EXPECT_EQ(engine_->model().device, "cpu,cpu");
  for (int i = 0; i < 8; ++i) {
    const ImageReference image = NewImageOf(i % 2);
    EXPECT_TRUE(ClickStatus(image).ok()) << ClickStatus(image);
    VocabularyLog words;
    engine_->SegmentVocabulary({.image = image, .things = {.words = {"left"}}}, {}, words.Sink());
    EXPECT_TRUE(words.Wait().ok()) << words.Wait().status();
    GenerateLog everything;
    engine_->GenerateMasks({.image = image, .options = {.points_per_side = 23, .levels = {1}}}, {},
                           everything.Sink());
    EXPECT_TRUE(everything.Wait().ok()) << everything.Wait().status();
  }
  for (const auto& fake : fakes_) {
    EXPECT_EQ(fake->encoded_images(), 4);
    EXPECT_EQ(fake->vocabulary_runs(), 4);
    EXPECT_EQ(fake->projections(), 4);
    EXPECT_GE(fake->projected_requests(), 4);
  }
  EXPECT_EQ(Placements("home"), "8");
  EXPECT_EQ(Placements("spilled"), "0");
  EXPECT_EQ(Metric("semsam_worker_cache_bytes{worker=\"0\"}"), "4000");
  EXPECT_EQ(Metric("semsam_worker_cache_bytes{worker=\"1\"}"), "4000");
  EXPECT_EQ(Metric("semsam_cache_bytes"), "8000");
  EXPECT_EQ(Metric("semsam_worker_busy_seconds_total{worker=\"0\"}"), "4");
}

TEST_F(EngineWorkersTest, ATickReadsHowFullEachDeviceIs) {
  fake_options_.memory = MemoryUse{.used_bytes = 700, .total_bytes = 900};
  StartAll();
  EXPECT_EQ(Metric("semsam_device_memory_used_bytes{worker=\"1\"}"), "0");
  engine_->Tick();
  for (const char* worker : {"0", "1"}) {
    const std::string label = std::string("{worker=\"") + worker + "\"}";
    EXPECT_EQ(Metric("semsam_device_memory_used_bytes" + label), "700");
    EXPECT_EQ(Metric("semsam_device_memory_capacity_bytes" + label), "900");
  }
}

TEST_F(EngineWorkersTest, ADeviceThatDoesNotTellItsMemoryIsLeftOut) {
  fake_options_.memory = absl::UnimplementedError("it does not tell");
  StartAll();
  engine_->Tick();
  EXPECT_EQ(Metric("semsam_device_memory_capacity_bytes{worker=\"0\"}"), "0");
}

TEST_F(EngineWorkersTest, AnImageGoesElsewhereWhereItsDeviceIsTooBusy) {
  StartAll();
  LearnSpeed();
  gates_[0].encodes.Shut();
  UploadLog runs;
  StartUpload(NewSession(), BytesOf(0), runs);
  gates_[0].encodes.WaitForCalls(ServiceEstimate::kMinRuns + 1);
  const ImageReference spilled = NewImageOf(0);
  EXPECT_EQ(fakes_[1]->encoded_images(), 1);
  EXPECT_TRUE(ClickStatus(spilled).ok());
  EXPECT_EQ(fakes_[1]->decoded_requests(), 1);
  EXPECT_EQ(Placements("spilled"), "1");
  gates_[0].encodes.Open();
  EXPECT_TRUE(runs.Wait().ok());
}

TEST_F(EngineWorkersTest, UpToTheBoundItWaits) {
  options_.spill_after = absl::Milliseconds(1500);
  StartAll();
  LearnSpeed();
  gates_[0].encodes.Shut();
  UploadLog runs;
  UploadLog waits;
  StartUpload(NewSession(), BytesOf(0), runs);
  gates_[0].encodes.WaitForCalls(ServiceEstimate::kMinRuns + 1);
  StartUpload(NewSession(), BytesOf(0), waits);
  WaitForMetric("semsam_queue_depth{queue=\"encode\"}", "1");
  // Two seconds before the third.
  NewImageOf(0);
  EXPECT_EQ(fakes_[1]->encoded_images(), 1);
  gates_[0].encodes.Open();
  EXPECT_TRUE(runs.Wait().ok());
  EXPECT_TRUE(waits.Wait().ok());
  EXPECT_EQ(fakes_[0]->encoded_images(), ServiceEstimate::kMinRuns + 2);
}

TEST_F(EngineWorkersTest, WhatWasEvictedMayBeMadeAgainElsewhere) {
  options_.cache_bytes = 1000;  // one embedding on each device
  StartAll();
  const ImageReference image = NewImageOf(0);
  LearnSpeed();
  gates_[0].encodes.Shut();
  UploadLog runs;
  StartUpload(NewSession(), BytesOf(0), runs);
  gates_[0].encodes.WaitForCalls(ServiceEstimate::kMinRuns + 2);
  EXPECT_TRUE(ClickStatus(image).ok());
  EXPECT_EQ(fakes_[1]->encoded_images(), 1);
  EXPECT_TRUE(ClickStatus(image).ok());
  EXPECT_EQ(fakes_[1]->encoded_images(), 1) << "it is found where it is now";
  EXPECT_EQ(fakes_[1]->decoded_requests(), 2);
  gates_[0].encodes.Open();
  EXPECT_TRUE(runs.Wait().ok());
}

TEST_F(EngineWorkersTest, ADeviceWithoutRoomLeavesAnImageToOneThatHasSome) {
  options_.cache_bytes = 1000;
  StartAll();
  const ImageReference image = NewImageOf(0);
  gates_[0].decodes.Shut();
  SegmentLog runs;
  engine_->Segment(ClickOn(image), {}, runs.Sink());
  gates_[0].decodes.WaitForCalls(1);
  EXPECT_TRUE(ClickStatus(NewImageOf(0)).ok());
  EXPECT_TRUE(ClickStatus(NewImageOf(0)).ok()) << "what is idle there makes room";
  EXPECT_EQ(fakes_[1]->encoded_images(), 2);
  EXPECT_EQ(Placements("spilled"), "2");
  EXPECT_EQ(Metric("semsam_cache_capacity_bytes"), "2000");
  gates_[0].decodes.Open();
  EXPECT_TRUE(runs.Wait().ok());
}

TEST_F(EngineWorkersTest, WhatLeavesADeviceIsStoredByItsModelAndLoadedByAny) {
  options_.cache_bytes = 1000;
  options_.tiers.host_cache_bytes = int64_t{1} << 20;
  StartAll();
  std::vector<ImageReference> images;
  for (int i = 0; i < 6; ++i) images.push_back(NewImageOf(i % 2));
  engine_->Tick();
  WaitForMetric("semsam_cache_demotions_total{outcome=\"stored\"}", "4");
  EXPECT_EQ(Metric("semsam_cache_demotions_total{outcome=\"failed\"}"), "0");
  EXPECT_EQ(fakes_[0]->stores(), 2);
  EXPECT_EQ(fakes_[1]->stores(), 2);
  EXPECT_TRUE(ClickStatus(images[0]).ok());
  EXPECT_TRUE(ClickStatus(images[1]).ok());
  EXPECT_EQ(fakes_[0]->loads(), 1);
  EXPECT_EQ(fakes_[1]->loads(), 1);
  // The third waits for a busy device no longer than an encode would.
  LearnSpeed();
  gates_[0].encodes.Shut();
  UploadLog runs;
  StartUpload(NewSession(), BytesOf(0), runs);
  gates_[0].encodes.WaitForCalls(3 + ServiceEstimate::kMinRuns + 1);
  EXPECT_TRUE(ClickStatus(images[2]).ok());
  EXPECT_EQ(fakes_[1]->loads(), 2);
  gates_[0].encodes.Open();
  EXPECT_TRUE(runs.Wait().ok());
}

TEST_F(EngineWorkersTest, WordsOfTwoCallsAreReadSideBySide) {
  StartAll();
  const ImageReference images[] = {NewImageOf(0), NewImageOf(0)};
  for (Gates& gates : gates_) gates.texts.Shut();
  VocabularyLog logs[2];
  for (int i = 0; i < 2; ++i) {
    engine_->SegmentVocabulary(
        {.image = images[i], .things = {.words = {i == 0 ? "left" : "right"}}}, {}, logs[i].Sink());
  }
  for (Gates& gates : gates_) gates.texts.WaitForCalls(1);
  for (Gates& gates : gates_) gates.texts.Open();
  for (VocabularyLog& log : logs) EXPECT_TRUE(log.Wait().ok()) << log.Wait().status();
  EXPECT_EQ(fakes_[0]->vocabulary_runs(), 2) << "where the images are";
}

TEST_F(EngineWorkersTest, ALostDeviceTakesNoOtherWithIt) {
  StartAll();
  const ImageReference lost = NewImageOf(0);
  const ImageReference lives = NewImageOf(1);
  gates_[1].decodes.Shut();
  SegmentLog runs;
  engine_->Segment(ClickOn(lives), {}, runs.Sink());
  gates_[1].decodes.WaitForCalls(1);
  lost_ = true;
  EXPECT_TRUE(IsDeviceFault(ClickStatus(lost)));
  EXPECT_EQ(fault_count_.Wait(), 1);
  gates_[1].decodes.Open();
  EXPECT_TRUE(runs.Wait().ok()) << runs.Wait().status();
  // Until the server ends: what is there is lost, what comes goes elsewhere.
  EXPECT_TRUE(IsDeviceFault(ClickStatus(lost)));
  EXPECT_TRUE(ClickStatus(NewImageOf(0)).ok());
  for (const char* word : {"left", "right", "top"}) {
    VocabularyLog words;
    engine_->SegmentVocabulary({.image = lives, .things = {.words = {word}}}, {}, words.Sink());
    EXPECT_TRUE(words.Wait().ok()) << words.Wait().status();
  }
  EXPECT_EQ(fakes_[0]->encoded_images(), 1);
  EXPECT_EQ(fakes_[0]->encoded_terms(), 0);
  EXPECT_EQ(fault_count_.Wait(), 1);
}

TEST_F(EngineWorkersTest, AnEndAnswersWhatWaitsEverywhereAtOnce) {
  StartAll();
  SegmentLog runs[kDevices];
  SegmentLog waits[kDevices];
  for (int i = 0; i < kDevices; ++i) {
    const ImageReference image = NewImageOf(i);
    gates_[i].decodes.Shut();
    engine_->Segment(ClickOn(image), {}, runs[i].Sink());
    gates_[i].decodes.WaitForCalls(1);
    engine_->Segment(ClickOn(image), {}, waits[i].Sink());
  }
  WaitForMetric("semsam_queue_depth{queue=\"decode\"}", "2");
  std::thread end([this] { engine_->Shutdown(); });
  // No device has to end first.
  for (SegmentLog& log : waits) EXPECT_TRUE(absl::IsUnavailable(log.Wait().status()));
  for (Gates& gates : gates_) gates.decodes.Open();
  end.join();
  for (int i = 0; i < kDevices; ++i) {
    EXPECT_EQ(runs[i].done_calls(), 1);
    EXPECT_EQ(waits[i].done_calls(), 1);
  }
  EXPECT_EQ(Metric("semsam_queue_depth{queue=\"decode\"}"), "0");
}

TEST_F(EngineWorkersTest, AWarmUpChoosesItsDevice) {
  StartAll();
  for (const int device : {1, 0}) {
    SegmentLog log;
    // Of the other one.
    EXPECT_TRUE(
        Segment({.image = BytesOf(1 - device), .prompts = {Click(40, 32)}, .device = device}, log)
            .ok());
    EXPECT_EQ(fakes_[device]->encoded_images(), 1);
  }
  SegmentLog log;
  EXPECT_EQ(
      ErrorField(Segment({.image = BytesOf(0), .prompts = {Click(40, 32)}, .device = kDevices}, log)
                     .status()),
      "device");
}

// Everything at once on both: every call is answered exactly once, by who can.
TEST_F(EngineWorkersTest, ManyCallersOverAllDevices) {
  options_.cache_bytes = 2000;
  options_.max_queued_images = 1000;
  options_.tiers.host_cache_bytes = 4000;
  StartAll();
  std::vector<ImageReference> images;
  for (int i = 0; i < 8; ++i) images.push_back(NewImageOf(i % 2));
  ClickFromManyThreads(images, {reason::kMemoryFull});
  engine_->Tick();
  engine_->Shutdown();
  int64_t alive = 0;
  for (int i = 0; i < kDevices; ++i) {
    EXPECT_LE(fakes_[i]->embeddings_alive(), 2);
    EXPECT_EQ(Metric("semsam_worker_cache_bytes{worker=\"" + std::to_string(i) + "\"}"),
              std::to_string(1000 * fakes_[i]->embeddings_alive()));
    alive += fakes_[i]->embeddings_alive();
  }
  EXPECT_EQ(Metric("semsam_cache_bytes"), std::to_string(1000 * alive));
}

}  // namespace
}  // namespace semsam
