// What becomes of an engine whose device is lost.
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

class FaultLog final : public FaultListener {
 public:
  void OnDeviceFault(const absl::Status& why) override {
    MutexLock lock(mutex_);
    whys_.emplace_back(why.message());
    changed_.NotifyAll();
  }
  std::vector<std::string> Wait() {
    MutexLock lock(mutex_);
    while (whys_.empty()) changed_.Wait(mutex_);
    return whys_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> whys_ ABSL_GUARDED_BY(mutex_);
};

class EngineFaultTest : public EngineFixture {
 protected:
  EngineFaultTest() {
    with_words_ = true;
    faults_ = &log_;
  }

  FaultLog log_;
};

TEST_F(EngineFaultTest, WhatRunsWhatWaitsAndWhatComesIsUnavailable) {
  fake_options_.on_decode = [hook = decodes_.Hook()] {
    (void)hook();
    return DeviceFault("CUDA error: device-side assert triggered");
  };
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  SegmentLog runs;
  engine_->Segment(ClickOn(image), {}, runs.Sink());
  decodes_.WaitForCalls(1);
  SegmentLog waits;
  engine_->Segment(ClickOn(image), {}, waits.Sink());
  GenerateLog background;
  engine_->GenerateMasks({.image = image, .options = {.points_per_side = 2}}, {},
                         background.Sink());
  decodes_.Open();
  EXPECT_EQ(log_.Wait(), std::vector<std::string>{"CUDA error: device-side assert triggered"});
  SegmentLog comes;
  engine_->Segment(ClickOn(image), {}, comes.Sink());
  const std::string session = NewSession();
  for (const absl::Status& status :
       {runs.Wait().status(), waits.Wait().status(), background.Wait().status(),
        comes.Wait().status(), Upload(session, FakeImageBytes(80, 64, "new")).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_TRUE(IsDeviceFault(status)) << status;
    EXPECT_EQ(status.message().find("CUDA"), absl::string_view::npos) << status;
  }
  EXPECT_EQ(segmenter_->decoded_requests(), 1) << "nothing more was asked";
  EXPECT_EQ(log_.Wait().size(), 1);
  EXPECT_EQ(MetricValue(metrics_, "semsam_device_faults_total"), "1");
}

TEST_F(EngineFaultTest, AFaultInWorkOfTheBackgroundIsNoticed) {
  fake_options_.on_vocabulary = [] {
    return DeviceFault("CUDA error: unspecified launch failure");
  };
  Start();
  const ImageReference image = NewImage();
  VocabularyLog words;
  engine_->SegmentVocabulary({.image = image, .things = {.words = {"left"}}}, {}, words.Sink());
  EXPECT_TRUE(IsDeviceFault(words.Wait().status()));
  EXPECT_EQ(log_.Wait().size(), 1);
}

TEST_F(EngineFaultTest, OtherFailuresAreNone) {
  bool fails = true;
  fake_options_.on_decode = [&fails] {
    return fails ? absl::InternalError("odd") : absl::OkStatus();
  };
  Start();
  const ImageReference image = NewImage();
  SegmentLog failed;
  EXPECT_TRUE(absl::IsInternal(Segment(ClickOn(image), failed).status()));
  fails = false;
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn(image), log).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_device_faults_total"), "0");
}

}  // namespace
}  // namespace semsam
