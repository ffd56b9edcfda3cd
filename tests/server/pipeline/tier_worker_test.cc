#include "server/pipeline/tier_worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "tests/fakes/fake_segmenter.h"
#include "tests/fakes/fake_tier.h"
#include "tests/fakes/metric_value.h"
#include "tests/fakes/model_gate.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What a look came to. Thread-safe.
class FindLog {
 public:
  absl::AnyInvocable<void(absl::StatusOr<TierWorker::Found>)> Done() {
    return [this](absl::StatusOr<TierWorker::Found> found) {
      MutexLock lock(mutex_);
      found_ = std::move(found);
      changed_.NotifyAll();
    };
  }
  absl::StatusOr<TierWorker::Found> Wait() {
    MutexLock lock(mutex_);
    while (!found_.has_value()) changed_.Wait(mutex_);
    return *found_;
  }
  bool answered() const {
    MutexLock lock(mutex_);
    return found_.has_value();
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<absl::StatusOr<TierWorker::Found>> found_ ABSL_GUARDED_BY(mutex_);
};

class TierWorkerTest : public ::testing::Test {
 protected:
  void Start() {
    EmbeddingTiers tiers;
    for (FakeTierOptions options : {host_options_, disk_options_}) {
      auto tier = std::make_unique<FakeTier>(std::move(options));
      tiers_.push_back(tier.get());
      tiers.push_back(std::move(tier));
    }
    segmenter_.emplace(fake_options_);
    options_.on_error = [this](TierKind tier, const absl::Status& why) {
      MutexLock lock(mutex_);
      told_.push_back((tier == TierKind::kHost ? "host " : "disk ") + std::string(why.message()));
    };
    cache_.emplace(EmbeddingCacheOptions{.budget_bytes = 0}, nullptr,
                   [this](std::shared_ptr<EmbeddingCache::Evicted> evicted) {
                     worker_->Demote(std::move(evicted));
                   });
    worker_.emplace(options_, /*max_finds=*/8, absl::Milliseconds(250), std::move(tiers),
                    std::vector<Segmenter*>{&*segmenter_}, clock_, metrics_, nullptr);
  }

  void TearDown() override {
    finds_.Open();
    puts_.Open();
    stores_.Open();
    if (worker_.has_value()) worker_->Shutdown();
  }

  EmbeddingKey Key(const std::string& image) const {
    return {
        .model_digest = segmenter_->info().digest, .network_size = {64, 64}, .image_sha256 = image};
  }

  void Find(const std::string& image, FindLog& log, absl::Status* wanted = nullptr) {
    worker_->Find({.key = Key(image),
                   .check =
                       [this, wanted](absl::Time /*now*/) {
                         MutexLock lock(mutex_);
                         return wanted != nullptr ? *wanted : absl::OkStatus();
                       },
                   .done = log.Done()});
  }

  // Evicts an embedding and waits until the last tier gets it: who asks would else go
  // before it.
  void Store(const std::string& image) {
    Demote(image);
    tiers_.back()->WaitFor("put " + image);
  }

  // Evicts an embedding.
  void Demote(const std::string& image) {
    const Rgb8Image pixels{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
    auto flight = cache_->Get(
        Key(image), {}, [](absl::Time /*now*/) { return absl::OkStatus(); },
        [](absl::StatusOr<EmbeddingCache::Found> /*found*/) {});
    ASSERT_NE(flight, nullptr);
    flight->Finish(segmenter_->Encode({&pixels}).front());
    cache_->Trim();
  }

  std::string Demotions(const std::string& outcome) const {
    return MetricValue(metrics_, "semsam_cache_demotions_total{outcome=\"" + outcome + "\"}");
  }

  std::vector<std::string> told() {
    MutexLock lock(mutex_);
    return told_;
  }

  TierOptions options_;
  FakeTierOptions host_options_{.kind = TierKind::kHost};
  FakeTierOptions disk_options_{.kind = TierKind::kDisk};
  FakeSegmenterOptions fake_options_{.embedding_bytes = 10};
  FakeClock clock_;
  Metrics metrics_{MetricsInfo{}};
  ModelGate finds_;
  ModelGate puts_;
  ModelGate stores_;
  Mutex mutex_;
  std::vector<std::string> told_ ABSL_GUARDED_BY(mutex_);
  std::vector<FakeTier*> tiers_;
  std::optional<FakeSegmenter> segmenter_;
  std::optional<EmbeddingCache> cache_;
  std::optional<TierWorker> worker_;
};

TEST_F(TierWorkerTest, WhatIsEvictedIsStoredInEveryTierAndFoundInTheFirst) {
  options_.storage = StorageFormat::kInt8;
  Start();
  Store("a");
  FindLog log;
  Find("a", log);
  const auto found = log.Wait();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->tier, 0);
  EXPECT_EQ(found->stored->format, StorageFormat::kInt8);
  EXPECT_TRUE(segmenter_->Load(*found->stored).ok());
  worker_->Shutdown();
  EXPECT_THAT(tiers_[0]->calls(), ::testing::Contains("put a"));
  EXPECT_THAT(tiers_[1]->calls(), ElementsAre("put a")) << "never asked";
  EXPECT_EQ(cache_->bytes(), 0);
  EXPECT_EQ(Demotions("stored"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_bytes{tier=\"disk\"}"), "10");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_entries{tier=\"host\"}"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_capacity_bytes{tier=\"host\"}"), "100");
}

TEST_F(TierWorkerTest, TiersAreAskedInOrder) {
  Start();
  FindLog log;
  Find("a", log);
  EXPECT_TRUE(absl::IsNotFound(log.Wait().status()));
  EXPECT_THAT(tiers_[0]->calls(), ElementsAre("find a"));
  EXPECT_THAT(tiers_[1]->calls(), ElementsAre("find a"));
  for (const char* tier : {"host", "disk"}) {
    EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_lookups_total{outcome=\"miss\",tier=\"" +
                                        std::string(tier) + "\"}"),
              "1");
  }
}

TEST_F(TierWorkerTest, WhatEveryTierHoldsIsNotStoredAgain) {
  Start();
  Store("a");
  Demote("a");
  worker_->Shutdown();
  EXPECT_EQ(segmenter_->stores(), 1);
  EXPECT_EQ(Demotions("stored"), "1");
  EXPECT_EQ(Demotions("held"), "1");
  EXPECT_EQ(cache_->bytes(), 0);
}

TEST_F(TierWorkerTest, ATierThatFailsIsPassedOverAndTalkedOfNowAndThen) {
  host_options_.on_find = [] { return absl::UnavailableError("no answer"); };
  host_options_.on_put = [] { return absl::UnavailableError("no room"); };
  Start();
  Store("a");
  for (int i = 0; i < 3; ++i) {
    FindLog log;
    Find("a", log);
    const auto found = log.Wait();
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->tier, 1);
  }
  EXPECT_THAT(told(), ElementsAre("host no room"));
  clock_.Advance(absl::Minutes(1));
  FindLog log;
  Find("b", log);
  EXPECT_TRUE(absl::IsNotFound(log.Wait().status()));
  EXPECT_EQ(told().size(), 2);
  EXPECT_EQ(told().back(), "host no answer");
  worker_->Shutdown();
  EXPECT_EQ(Demotions("failed"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_errors_total{tier=\"host\"}"), "5");
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_errors_total{tier=\"disk\"}"), "0");
  EXPECT_EQ(
      MetricValue(metrics_, "semsam_cache_tier_lookups_total{outcome=\"failed\",tier=\"host\"}"),
      "4");
}

TEST_F(TierWorkerTest, WhatATierMixedUpIsNobodys) {
  Start();
  const EmbeddingKey key = Key("a");
  const StoredEmbedding good{.model_digest = key.model_digest, .network_size = key.network_size};
  StoredEmbedding other_model = good;
  other_model.model_digest = "another";
  StoredEmbedding other_size = good;
  other_size.network_size = {64, 65};
  for (const StoredEmbedding& bad : {other_model, other_size}) {
    ASSERT_TRUE(tiers_[0]->Put(key, std::make_shared<const StoredEmbedding>(bad)).ok());
    FindLog log;
    Find("a", log);
    EXPECT_TRUE(absl::IsNotFound(log.Wait().status()));
    EXPECT_FALSE(tiers_[0]->Touch(key)) << "removed";
  }
  ASSERT_TRUE(tiers_[0]->Put(key, std::make_shared<const StoredEmbedding>(good)).ok());
  FindLog log;
  Find("a", log);
  EXPECT_TRUE(log.Wait().ok());
}

TEST_F(TierWorkerTest, ALookThatNobodyWaitsForTouchesNoFurtherTier) {
  host_options_.on_find = finds_.Hook();
  Start();
  finds_.Shut();
  absl::Status running_wanted;
  absl::Status queued_wanted;
  FindLog running;
  FindLog queued;
  Find("running", running, &running_wanted);
  finds_.WaitForCalls(1);
  Find("queued", queued, &queued_wanted);
  worker_->DropDead();
  EXPECT_FALSE(queued.answered());
  {
    MutexLock lock(mutex_);
    running_wanted = absl::CancelledError("left");
    queued_wanted = absl::DeadlineExceededError("too late");
  }
  worker_->DropDead();
  ASSERT_TRUE(queued.answered()) << "while the tier is busy";
  EXPECT_TRUE(absl::IsDeadlineExceeded(queued.Wait().status()));
  finds_.Open();
  EXPECT_TRUE(absl::IsCancelled(running.Wait().status()));
  EXPECT_THAT(tiers_[0]->calls(), ElementsAre("find running"));
  EXPECT_THAT(tiers_[1]->calls(), IsEmpty());
}

TEST_F(TierWorkerTest, WhatIsTooMuchToBeStoredIsDropped) {
  fake_options_.on_store = stores_.Hook();
  options_.max_demotion_bytes = 20;  // two
  Start();
  stores_.Shut();
  Demote("running");
  stores_.WaitForCalls(1);
  for (const char* name : {"b", "c", "d", "e"}) Demote(name);
  EXPECT_EQ(Demotions("dropped"), "2");
  EXPECT_EQ(cache_->bytes(), 30) << "one at work, two that wait";
  stores_.Open();
  worker_->Shutdown();
  EXPECT_EQ(Demotions("stored"), "3");
  EXPECT_EQ(cache_->bytes(), 0);
  for (const char* name : {"running", "b", "c"}) EXPECT_TRUE(tiers_[1]->Touch(Key(name))) << name;
  for (const char* name : {"d", "e"}) EXPECT_FALSE(tiers_[1]->Touch(Key(name))) << name;
}

TEST_F(TierWorkerTest, TheDeviceIsFreeWhileATierStillWrites) {
  host_options_.on_put = puts_.Hook();
  Start();
  puts_.Shut();
  Demote("a");
  puts_.WaitForCalls(1);
  EXPECT_EQ(cache_->bytes(), 0);
}

TEST_F(TierWorkerTest, WhatIsTakenBackIsNotStored) {
  host_options_.on_find = finds_.Hook();
  Start();
  finds_.Shut();
  FindLog busy;
  Find("busy", busy);
  finds_.WaitForCalls(1);
  Demote("a");
  std::shared_ptr<const Embedding> back;
  EXPECT_EQ(cache_->Get(
                Key("a"), {.lead = false}, [](absl::Time /*now*/) { return absl::OkStatus(); },
                [&back](absl::StatusOr<EmbeddingCache::Found> found) { back = found->embedding; }),
            nullptr);
  EXPECT_NE(back, nullptr);
  finds_.Open();
  worker_->Shutdown();
  EXPECT_EQ(segmenter_->stores(), 0);
  EXPECT_EQ(Demotions("taken_back"), "1");
  EXPECT_EQ(cache_->bytes(), 10);
}

TEST_F(TierWorkerTest, WhoAsksGoesBeforeWhatIsStored) {
  host_options_.on_find = finds_.Hook();
  Start();
  finds_.Shut();
  FindLog busy;
  Find("busy", busy);
  finds_.WaitForCalls(1);
  Demote("a");
  FindLog log;
  Find("b", log);
  finds_.Open();
  EXPECT_TRUE(absl::IsNotFound(log.Wait().status()));
  worker_->Shutdown();
  EXPECT_THAT(tiers_[0]->calls(), ElementsAre("find busy", "find b", "put a"));
}

TEST_F(TierWorkerTest, AModelThatCannotStoreFailsNothingElse) {
  fake_options_.on_store = [] { return absl::InternalError("no"); };
  Start();
  Demote("a");
  worker_->Shutdown();
  EXPECT_EQ(Demotions("failed"), "1");
  EXPECT_EQ(cache_->bytes(), 0);
  EXPECT_THAT(tiers_[0]->calls(), IsEmpty());
}

TEST_F(TierWorkerTest, WhatTheModelCannotReadIsRemoved) {
  Start();
  Store("a");
  FindLog log;
  Find("a", log);
  const auto found = log.Wait();
  ASSERT_TRUE(found.ok());
  worker_->Discard(*found, Key("a"), absl::InvalidArgumentError("not ours"));
  worker_->Shutdown();
  EXPECT_FALSE(tiers_[0]->Touch(Key("a")));
  EXPECT_TRUE(tiers_[1]->Touch(Key("a"))) << "each tier answers for itself";
  EXPECT_EQ(MetricValue(metrics_, "semsam_cache_tier_errors_total{tier=\"host\"}"), "1");
  EXPECT_THAT(told(), ElementsAre("host not ours"));
}

TEST_F(TierWorkerTest, AnEndStoresWhatWaitsAndRefusesWhoAsks) {
  host_options_.on_put = puts_.Hook();
  Start();
  puts_.Shut();
  Demote("a");
  puts_.WaitForCalls(1);
  Demote("b");
  FindLog before;
  Find("a", before);
  puts_.Open();
  worker_->Shutdown();
  EXPECT_TRUE(before.answered());
  EXPECT_TRUE(tiers_[1]->Touch(Key("b")));
  FindLog after;
  Find("a", after);
  EXPECT_EQ(ErrorReason(after.Wait().status()), reason::kDraining);
  Demote("c");
  EXPECT_EQ(Demotions("dropped"), "1");
  EXPECT_EQ(cache_->bytes(), 0);
}

TEST_F(TierWorkerTest, AnEndWithoutTimeDropsWhatWaits) {
  std::atomic<bool> ends{false};
  // The first takes until the end has begun: then who asks is refused at once.
  host_options_.on_put = [this, &ends] {
    while (!ends) {
      worker_->Find({.key = Key("a"),
                     .check = [](absl::Time /*now*/) { return absl::OkStatus(); },
                     .done =
                         [&ends](const absl::StatusOr<TierWorker::Found>& found) {
                           if (ErrorReason(found.status()) == reason::kDraining) ends = true;
                         }});
    }
    return absl::OkStatus();
  };
  Start();
  Demote("a");
  tiers_[0]->WaitFor("put a");
  Demote("b");
  worker_->Shutdown(/*store_until=*/clock_.Now());
  EXPECT_TRUE(tiers_[1]->Touch(Key("a")));
  EXPECT_FALSE(tiers_[1]->Touch(Key("b")));
  EXPECT_EQ(Demotions("dropped"), "1");
  EXPECT_EQ(cache_->bytes(), 0);
}

TEST_F(TierWorkerTest, AtTheEndTheDevicesEmbeddingsGoWhereTheNextProcessFindsThem) {
  disk_options_.on_put = [this] {
    clock_.Advance(absl::Seconds(1));
    return absl::OkStatus();
  };
  Start();
  EmbeddingCache cache({.budget_bytes = 100});
  const Rgb8Image pixels{.size = {64, 64}, .pixels = std::vector<uint8_t>(64 * 64 * 3)};
  for (const char* name : {"a", "b", "c"}) {
    auto flight = cache.Get(
        Key(name), {}, [](absl::Time /*now*/) { return absl::OkStatus(); },
        [](absl::StatusOr<EmbeddingCache::Found> /*found*/) {});
    ASSERT_NE(flight, nullptr);
    flight->Finish(segmenter_->Encode({&pixels}).front());
  }
  worker_->Shutdown();
  worker_->StoreAll(cache.TakeIdle(), /*until=*/clock_.Now() + absl::Seconds(2));
  EXPECT_THAT(tiers_[0]->calls(), IsEmpty());
  EXPECT_THAT(tiers_[1]->calls(), ElementsAre("put c", "put b")) << "until the time was over";
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace semsam
