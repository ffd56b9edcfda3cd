// The engine with tiers below the device: what is evicted is loaded again, from this
// process or the one before, and is encoded only where no tier has it.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "tests/fakes/metric_value.h"
#include "tests/fakes/temp_dir.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

class EngineTiersTest : public EngineFixture {
 protected:
  EngineTiersTest() {
    options_.cache_bytes = 1000;  // one embedding of the fake
    fake_options_.on_store = stores_.Hook();
  }

  void UseHost() { options_.tiers.host_cache_bytes = int64_t{1} << 20; }
  void UseDisk() { options_.tiers.disk_cache_dir = dir_.path(); }

  // As a new process with the same flags would. `store_until`: see Engine::Shutdown.
  void Restart(absl::Time store_until = absl::InfinitePast()) {
    engine_->Shutdown(store_until);
    engine_.reset();
    Start();
  }

  // Uploads an image and then others, until it has left the device and is stored. Once
  // a test.
  ImageReference NewStoredImage() {
    const ImageReference image = NewImage(80, 64, "first");
    for (int64_t held = 0; held < options_.cache_bytes; held += fake_options_.embedding_bytes) {
      NewImage(80, 64, "filler " + std::to_string(held));
      engine_->Tick();
    }
    stores_.WaitForCalls(1);
    // Looks for its embedding on the thread that stores the other: after that.
    NewImage(80, 64, "last");
    engine_->Tick();
    return image;
  }

  std::string Demotions(const std::string& outcome) const {
    return MetricValue(metrics_, "semsam_cache_demotions_total{outcome=\"" + outcome + "\"}");
  }
  std::string Lookups(const std::string& tier, const std::string& outcome) const {
    return MetricValue(metrics_, "semsam_cache_tier_lookups_total{outcome=\"" + outcome +
                                     "\",tier=\"" + tier + "\"}");
  }

  const TempDir dir_;
  ModelGate stores_;
};

TEST_F(EngineTiersTest, AnEvictedEmbeddingIsLoadedNotMadeAgain) {
  UseHost();
  Start();
  const ImageReference image = NewStoredImage();
  const int encoded = segmenter_->encoded_images();
  SegmentLog log;
  const auto summary = Segment(ClickOn(image), log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_FALSE(summary->timings.encode.has_value());
  EXPECT_EQ(log.masks().size(), 6);
  EXPECT_EQ(segmenter_->encoded_images(), encoded);
  EXPECT_EQ(segmenter_->loads(), 1);
  EXPECT_EQ(Lookups("host", "hit"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_stage_duration_seconds_count{stage=\"tier_load\"}"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_stage_duration_seconds_count{stage=\"tier_read\"}"), "1");
  EXPECT_NE(MetricValue(metrics_, "semsam_stage_duration_seconds_count{stage=\"tier_store\"}"),
            "0");
}

TEST_F(EngineTiersTest, ASessionThatLostItsPictureIsStillAnswered) {
  UseDisk();
  options_.sessions.max_retained_bytes = 0;
  Start();
  const ImageReference image = NewStoredImage();
  SegmentLog log;
  const auto summary = Segment(ClickOn(image), log);
  EXPECT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(segmenter_->loads(), 1);
}

TEST_F(EngineTiersTest, WhatNoTierHasAndNobodyCanMakeIsNotFoundWithItsDigest) {
  UseHost();
  options_.tiers.host_cache_bytes = 1;  // an embedding is above it
  options_.sessions.max_retained_bytes = 0;
  Start();
  const ImageReference image = NewStoredImage();  // but for the tier, which refused it
  SegmentLog log;
  const absl::Status status = Segment(ClickOn(image), log).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(status), reason::kImageNotFound);
  EXPECT_TRUE(ErrorImageDigest(status).has_value());
}

TEST_F(EngineTiersTest, AMissInEveryTierIsEncodedOnceForAllWhoWait) {
  UseHost();
  UseDisk();
  Start();
  encodes_.Shut();
  UploadLog first;
  UploadLog second;
  const std::string bytes = FakeImageBytes(80, 64, "shared");
  StartUpload(NewSession(), bytes, first);
  encodes_.WaitForCalls(1);
  StartUpload(NewSession(), bytes, second);
  encodes_.Open();
  ASSERT_TRUE(first.Wait().ok());
  ASSERT_TRUE(second.Wait().ok());
  EXPECT_FALSE(first.Wait()->cached);
  EXPECT_EQ(segmenter_->encoded_images(), 1);
  EXPECT_EQ(Lookups("host", "miss"), "1");
  EXPECT_EQ(Lookups("disk", "miss"), "1");
  EXPECT_EQ(segmenter_->loads(), 0);
}

TEST_F(EngineTiersTest, OneLoadServesAllWhoWait) {
  UseHost();
  ModelGate loads;
  fake_options_.on_load = loads.Hook();
  Start();
  const ImageReference image = NewStoredImage();
  loads.Shut();
  SegmentLog logs[3];
  for (SegmentLog& log : logs) engine_->Segment(ClickOn(image), {}, log.Sink());
  loads.WaitForCalls(1);
  loads.Open();
  for (SegmentLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_EQ(segmenter_->loads(), 1);
  EXPECT_EQ(Lookups("host", "hit"), "1");
}

TEST_F(EngineTiersTest, WhoLeavesWhileItIsLoadedIsAnsweredAtOnce) {
  UseHost();
  options_.cache_bytes = 2000;
  Start();
  const ImageReference image = NewStoredImage();
  decodes_.Shut();
  // The model is busy: what was found waits to be loaded.
  SegmentLog busy;
  const ImageReference other = NewImage(80, 64, "on the device");
  engine_->Segment(ClickOn(other), {}, busy.Sink());
  decodes_.WaitForCalls(1);
  auto flag = std::make_shared<CancelFlag>();
  SegmentLog log;
  engine_->Segment(ClickOn(image), {.cancel = flag}, log.Sink());
  flag->Cancel();
  engine_->Tick();
  EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kCancelled);
  decodes_.Open();
  EXPECT_TRUE(busy.Wait().ok());
  engine_->Shutdown();
  EXPECT_EQ(segmenter_->loads(), 0);
}

TEST_F(EngineTiersTest, ARestartedServerAnswersWithoutAnEncode) {
  UseDisk();
  options_.cache_bytes = 100000;
  Start();
  NewImage(80, 64, "one");
  NewImage(64, 80, "two");
  Restart(/*store_until=*/clock_.Now() + absl::Seconds(1));
  for (const auto& [width, height, seed] : {std::tuple{80, 64, "one"}, std::tuple{64, 80, "two"}}) {
    const std::string session = NewSession();
    const auto image = Upload(session, FakeImageBytes(width, height, seed));
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_TRUE(image->cached) << "it existed before";
    SegmentLog log;
    EXPECT_TRUE(Segment(ClickOn({session, image->image.image_id}), log).ok());
  }
  EXPECT_EQ(segmenter_->encoded_images(), 0);
  EXPECT_EQ(segmenter_->loads(), 2);
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_entries{tier=\"disk\"}"), "2");
}

TEST_F(EngineTiersTest, AnEndWithoutTimeStoresNothingMore) {
  UseDisk();
  options_.cache_bytes = 100000;
  Start();
  NewImage(80, 64, "one");
  Restart();
  ASSERT_TRUE(Upload(NewSession(), FakeImageBytes(80, 64, "one")).ok());
  EXPECT_EQ(segmenter_->encoded_images(), 1);
}

TEST_F(EngineTiersTest, ATenantNeverGetsWhatAnotherStored) {
  UseDisk();
  options_.cache_bytes = 100000;
  Start();
  const auto upload_as = [this](const std::string& tenant) {
    auto session = engine_->CreateSession({tenant}, absl::ZeroDuration());
    EXPECT_TRUE(session.ok());
    UploadLog log;
    StartUpload(session->session_id, FakeImageBytes(80, 64, "same"), log, {.tenant = {tenant}});
    const auto image = log.Wait();
    EXPECT_TRUE(image.ok()) << image.status();
    return image.ok() && image->cached;
  };
  EXPECT_FALSE(upload_as("one"));
  Restart(clock_.Now() + absl::Seconds(1));
  EXPECT_FALSE(upload_as("two")) << "nor is told that somebody has it";
  EXPECT_EQ(segmenter_->encoded_images(), 1);
  EXPECT_TRUE(upload_as("one"));
  EXPECT_EQ(segmenter_->encoded_images(), 1);
  EXPECT_EQ(segmenter_->loads(), 1);
}

TEST_F(EngineTiersTest, WhatTheModelCannotReadIsMadeAgainAndForgotten) {
  UseDisk();
  options_.cache_bytes = 100000;
  Start();
  NewImage(80, 64, "one");
  fake_options_.embedding_bytes = 999;  // the fake reads its own size only
  Restart(clock_.Now() + absl::Seconds(1));
  const auto image = Upload(NewSession(), FakeImageBytes(80, 64, "one"));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_FALSE(image->cached);
  EXPECT_EQ(segmenter_->encoded_images(), 1);
  engine_->Shutdown();
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_entries{tier=\"disk\"}"), "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_errors_total{tier=\"disk\"}"), "1");
}

TEST_F(EngineTiersTest, ADeviceWithoutMemoryForALoadRefusesWithATimeToComeBack) {
  UseHost();
  fake_options_.on_load = [] { return absl::ResourceExhaustedError("device words"); };
  Start();
  const ImageReference image = NewStoredImage();
  SegmentLog log;
  const absl::Status status = Segment(ClickOn(image), log).status();
  EXPECT_EQ(ErrorReason(status), reason::kMemoryFull);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
}

TEST_F(EngineTiersTest, AFullDiskFailsNoCall) {
  UseDisk();
  std::atomic<int> told{0};
  options_.tiers.on_error = [&told](TierKind tier, const absl::Status& why) {
    EXPECT_EQ(tier, TierKind::kDisk);
    EXPECT_TRUE(absl::IsUnavailable(why)) << why;
    ++told;
  };
  Start();
  // A limit on the size of files stands in for a full disk.
  rlimit old_limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 10, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::vector<absl::Status> answers;
  for (int i = 0; i < 5; ++i) {
    answers.push_back(Upload(NewSession(), FakeImageBytes(80, 64, std::to_string(i))).status());
    engine_->Tick();
  }
  engine_->Shutdown(/*store_until=*/absl::InfiniteFuture());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  for (const absl::Status& answer : answers) EXPECT_TRUE(answer.ok()) << answer;
  EXPECT_EQ(Demotions("stored"), "0");
  EXPECT_EQ(Demotions("failed"), "5");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_errors_total{tier=\"disk\"}"), "5");
  EXPECT_EQ(told, 1) << "not once a failure";
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_bytes"), "0");
}

TEST_F(EngineTiersTest, ADirectoryThatCannotBeUsedIsAnErrorAtTheStart) {
  options_.tiers.disk_cache_dir = dir_.File("no/parent");
  FakeSegmenter segmenter;
  const FakeImageStages stages(Config());
  const absl::Status status =
      Engine::Create(options_, {&segmenter}, stages, clock_, metrics_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(ErrorField(status), "disk_cache_dir");
}

TEST_F(EngineTiersTest, OptionsAreChecked) {
  const std::pair<const char*, TierOptions> bad[] = {
      {"host_cache_bytes", {.host_cache_bytes = -1}},
      {"disk_cache_bytes", {.disk_cache_dir = dir_.path(), .disk_cache_bytes = 0}},
      {"max_demotion_bytes", {.max_demotion_bytes = 0}},
  };
  for (const auto& [field, tiers] : bad) {
    options_.tiers = tiers;
    EXPECT_EQ(ErrorField(options_.Validate(Config())), field);
  }
  options_.tiers = {.disk_cache_bytes = 0};
  EXPECT_TRUE(options_.Validate(Config()).ok()) << "no directory, no budget";
}

// Everything at once over both tiers, half of the sessions without their pictures: every
// call is answered exactly once, and what is counted is what lives.
TEST_F(EngineTiersTest, ManyCallersOverAllTiers) {
  options_.cache_bytes = 3000;
  options_.max_queued_images = 1000;
  options_.sessions.max_retained_bytes = 300;
  options_.tiers.host_cache_bytes = 2000;
  options_.tiers.disk_cache_bytes = 4000;
  UseDisk();
  Start();
  std::vector<ImageReference> images;
  for (int i = 0; i < 8; ++i) images.push_back(NewImage(80, 64, std::to_string(i)));
  ClickFromManyThreads(images, {reason::kMemoryFull, reason::kImageNotFound});
  engine_->Tick();
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
  engine_->Shutdown();
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_bytes"),
            std::to_string(1000 * segmenter_->embeddings_alive()));
  EXPECT_LE(segmenter_->embeddings_alive(), 3);
  EXPECT_EQ(MetricValue(metrics_, "semsam_queue_units{queue=\"demote\"}"), "0");
  int64_t on_disk = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    on_disk += static_cast<int64_t>(entry.file_size());
  }
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_bytes{tier=\"disk\"}"),
            std::to_string(on_disk));
  EXPECT_LE(on_disk, 4000);
}

}  // namespace
}  // namespace semsam
