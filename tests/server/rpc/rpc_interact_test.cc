// The stream of clicks over a real connection.
#include <gmock/gmock.h>

#include <chrono>
#include <map>
#include <thread>

#include "tests/fakes/metric_value.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// One stream; blocking.
class Hand {
 public:
  explicit Hand(v1::SegmentationService::Stub& stub) : stream_(stub.Interact(&context_)) {}

  bool Start(const v1::SegmentRequest& about) {
    v1::InteractRequest request;
    request.mutable_start()->set_session_id(about.session_id());
    request.mutable_start()->set_image_id(about.image_id());
    *request.mutable_start()->mutable_options() = about.options();
    *request.mutable_start()->mutable_labels() = about.labels();
    return Send(request);
  }
  bool Click(uint64_t id, bool latest_wins = false, float x = 40) {
    v1::InteractRequest request;
    request.mutable_click()->set_correlation_id(id);
    request.mutable_click()->set_latest_wins(latest_wins);
    v1::Prompt& prompt = *request.mutable_click()->add_prompts();
    prompt.mutable_click()->set_x(x);
    prompt.mutable_click()->set_y(32);
    return Send(request);
  }
  bool Cancel(uint64_t id) {
    v1::InteractRequest request;
    request.mutable_cancel()->set_correlation_id(id);
    return Send(request);
  }
  bool Send(const v1::InteractRequest& request) { return stream_->Write(request); }
  void HalfClose() { stream_->WritesDone(); }

  // Reads until the click has its last event.
  v1::InteractEvent Wait(uint64_t id) {
    while (answers_.count(id) == 0 && ReadOne()) {
    }
    return answers_[id];
  }
  grpc::Status ReadToTheEnd() {
    while (ReadOne()) {
    }
    return stream_->Finish();
  }
  bool ReadOne() {
    v1::InteractResponse response;
    if (!stream_->Read(&response)) return false;
    ++responses_;
    EXPECT_FALSE(response.events().empty());
    for (const v1::InteractEvent& event : response.events()) {
      const uint64_t id = event.correlation_id();
      if (event.has_mask()) {
        masks_[id].push_back(event.mask());
      } else if (event.has_progress()) {
        ++progress_[id];
      } else {
        answers_[id] = event;
        order_.push_back(id);
      }
    }
    return true;
  }

  grpc::ClientContext& context() { return context_; }
  const std::vector<v1::Mask>& masks(uint64_t id) { return masks_[id]; }
  int progress(uint64_t id) { return progress_[id]; }
  int responses() const { return responses_; }
  // Ids in the order of their answers.
  const std::vector<uint64_t>& order() const { return order_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::InteractRequest, v1::InteractResponse>> stream_;
  std::map<uint64_t, std::vector<v1::Mask>> masks_;
  std::map<uint64_t, int> progress_;
  std::map<uint64_t, v1::InteractEvent> answers_;
  std::vector<uint64_t> order_;
  int responses_ = 0;
};

// Every test ends with a drain that finds no call left; see the fixture.
class RpcInteractTest : public RpcFixture {};

TEST_F(RpcInteractTest, AClickGivesTheMasksOfSegment) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  ASSERT_TRUE(hand.Click(7));
  const v1::InteractEvent answer = hand.Wait(7);
  ASSERT_TRUE(answer.has_summary()) << answer.ShortDebugString();
  EXPECT_EQ(answer.summary().masks_sent(), 6);
  EXPECT_EQ(answer.summary().image_size().width(), 80);
  const StreamLog alone = Segment(request);
  ASSERT_THAT(hand.masks(7), SizeIs(6));
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(hand.masks(7)[i].SerializeAsString(), alone.masks[i].SerializeAsString());
  }
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_requests_total{code=\"OK\",method=\"Interact\"}"), "1");
}

TEST_F(RpcInteractTest, AClickOfOneMaskIsAnsweredInOneMessage) {
  Start();
  v1::SegmentRequest request = ClickOnNewImage();
  request.mutable_options()->add_levels(3);
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  for (uint64_t id = 1; id <= 20; ++id) {
    ASSERT_TRUE(hand.Click(id));
    EXPECT_TRUE(hand.Wait(id).has_summary());
    EXPECT_THAT(hand.masks(id), SizeIs(1));
  }
  EXPECT_EQ(hand.responses(), 20);
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, TheNewestClickOfAMovingHandWins) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  decodes_.Shut();
  ASSERT_TRUE(hand.Click(1, /*latest_wins=*/true));
  decodes_.WaitForCalls(1);
  for (const uint64_t id : {2, 3, 4, 5}) ASSERT_TRUE(hand.Click(id, true));
  for (const uint64_t id : {2, 3, 4}) {
    EXPECT_EQ(hand.Wait(id).error().code(), grpc::StatusCode::ABORTED);
    EXPECT_EQ(hand.Wait(id).error().reason(), "SUPERSEDED");
  }
  decodes_.Open();
  EXPECT_TRUE(hand.Wait(5).has_summary());
  EXPECT_TRUE(hand.Wait(1).has_summary());
  EXPECT_EQ(segmenter_->decoded_requests(), 2);
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, ACancelledClickNeverReachesTheModelAndTheOthersGoOn) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  decodes_.Shut();
  ASSERT_TRUE(hand.Click(1));
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(hand.Click(2));
  ASSERT_TRUE(hand.Click(3));
  ASSERT_TRUE(hand.Cancel(2));
  ASSERT_TRUE(hand.Cancel(17));  // of nobody
  EXPECT_EQ(hand.Wait(2).error().code(), grpc::StatusCode::CANCELLED);
  decodes_.Open();
  EXPECT_TRUE(hand.Wait(1).has_summary());
  EXPECT_TRUE(hand.Wait(3).has_summary());
  EXPECT_EQ(segmenter_->decoded_requests(), 2);
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, AnErrorOfAClickCarriesWhatACallWouldEndWith) {
  Start();
  v1::SegmentRequest request = ClickOnNewImage();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Click(1));
  EXPECT_EQ(hand.Wait(1).error().field(), "start");
  ASSERT_TRUE(hand.Start(request));
  ASSERT_TRUE(hand.Click(2, /*latest_wins=*/false, /*x=*/4000));
  EXPECT_EQ(hand.Wait(2).error().code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(hand.Wait(2).error().reason(), "POINT_OUTSIDE_IMAGE");
  EXPECT_EQ(hand.Wait(2).error().field(), "click.prompts[0].click.x");
  EXPECT_THAT(hand.Wait(2).error().message(), ::testing::StartsWith("click.prompts[0].click.x"));
  request.set_image_id("nothing");
  ASSERT_TRUE(hand.Start(request));
  ASSERT_TRUE(hand.Click(3));
  EXPECT_EQ(hand.Wait(3).error().reason(), "IMAGE_NOT_FOUND");
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok()) << "the stream itself was in order";
}

TEST_F(RpcInteractTest, AFullServerSaysWhenToClickAgain) {
  options_.max_segment_calls = 1;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  decodes_.Shut();
  ASSERT_TRUE(hand.Click(1));
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(hand.Click(2));
  EXPECT_EQ(hand.Wait(2).error().reason(), "QUEUE_FULL");
  EXPECT_EQ(hand.Wait(2).error().retry_after().nanos(), 250'000'000);
  decodes_.Open();
  EXPECT_TRUE(hand.Wait(1).has_summary());
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, WhatConcernsNoClickEndsTheStream) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  const auto end_of = [&](const std::function<void(Hand&)>& send) {
    Hand hand(*stub_);
    EXPECT_TRUE(hand.Start(request));
    send(hand);
    return ReadFailure(hand.ReadToTheEnd());
  };
  const Failure empty = end_of([](Hand& hand) { hand.Send({}); });
  EXPECT_EQ(empty.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(empty.field, "action");
  const Failure encoding = end_of([](Hand& hand) {
    v1::InteractRequest start;
    start.mutable_start()->mutable_options()->set_encoding(static_cast<v1::MaskEncoding>(99));
    hand.Send(start);
  });
  EXPECT_EQ(encoding.field, "start.options.encoding");
  decodes_.Shut();
  const Failure twice = end_of([&](Hand& hand) {
    hand.Click(9, /*latest_wins=*/true);
    decodes_.WaitForCalls(1);
    hand.Click(1, /*latest_wins=*/true);
    hand.Click(1);
    EXPECT_EQ(hand.Wait(1).error().code(), grpc::StatusCode::CANCELLED);
    decodes_.Open();
  });
  EXPECT_EQ(twice.field, "click.correlation_id");
}

TEST_F(RpcInteractTest, TextThatIsNotUtf8IsNamed) {
  Start();
  Hand hand(*stub_);
  v1::InteractRequest request;
  request.mutable_click()->add_prompts()->set_tag("\xff");
  hand.Send(request);
  EXPECT_EQ(ReadFailure(hand.ReadToTheEnd()).field, "click.prompts[0].tag");
}

TEST_F(RpcInteractTest, AHalfClosedStreamAnswersWhatIsOpen) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  decodes_.Shut();
  ASSERT_TRUE(hand.Click(1, /*latest_wins=*/true));
  ASSERT_TRUE(hand.Click(2, true));
  hand.HalfClose();
  decodes_.WaitForCalls(1);
  decodes_.Open();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
  EXPECT_THAT(hand.order(), ElementsAre(1, 2));
  EXPECT_THAT(hand.masks(2), SizeIs(6));
}

TEST_F(RpcInteractTest, AClientThatLeavesCancelsItsClicks) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  ASSERT_TRUE(hand.Click(1));
  decodes_.WaitForCalls(1);
  ASSERT_TRUE(hand.Click(2));
  WaitForMetric("semsam_interact_clicks_open", "2");
  hand.context().TryCancel();
  EXPECT_EQ(hand.ReadToTheEnd().error_code(), grpc::StatusCode::CANCELLED);
  WaitForMetric("semsam_interact_clicks_open", "1");
  decodes_.Open();
  WaitForMetric("semsam_interact_streams_active", "0");
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
}

TEST_F(RpcInteractTest, AClientThatStopsReadingHoldsNeitherDeviceNorThread) {
  mask_bytes_ = 600000;
  options_.cpu_threads = 1;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand stalled(*stub_);
  ASSERT_TRUE(stalled.Start(request));
  for (uint64_t id = 1; id <= 8; ++id) ASSERT_TRUE(stalled.Click(id));
  ASSERT_TRUE(stalled.ReadOne());
  // Others are served whole meanwhile.
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Segment(request).masks, SizeIs(6));
  EXPECT_LT(stages_->encoded_masks(), 3 * 6 + 8 * 6) << "the stalled clicks have not gone on";
  // Who reads again gets all of it.
  for (uint64_t id = 1; id <= 8; ++id) {
    EXPECT_TRUE(stalled.Wait(id).has_summary());
    EXPECT_THAT(stalled.masks(id), SizeIs(6));
  }
  stalled.HalfClose();
  EXPECT_TRUE(stalled.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, OfWhoDoesNotReadNoMoreIsRead) {
  mask_bytes_ = 600000;
  options_.interact.window_bytes = 1000;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand stalled(*stub_);
  ASSERT_TRUE(stalled.Start(request));
  ASSERT_TRUE(stalled.Click(1));
  ASSERT_TRUE(stalled.ReadOne());
  // The next mask does not fit the buffers on the way: from now on it waits, and with
  // it what this client would still ask.
  WaitForMetric("semsam_mask_bytes_count", "2");
  for (const uint64_t id : {2, 3, 4, 5}) ASSERT_TRUE(stalled.Click(id));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(Segment(request).masks, SizeIs(6));
  // But for the one whose read had begun.
  EXPECT_LT(segmenter_->decoded_requests(), 1 + 3 + 4);
  stalled.HalfClose();
  EXPECT_TRUE(stalled.ReadToTheEnd().ok());
  EXPECT_THAT(stalled.order(), UnorderedElementsAre(1, 2, 3, 4, 5)) << "who reads again gets all";
}

TEST_F(RpcInteractTest, ADrainTellsIdleStreamsAndAnswersTheOthers) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand idle(*stub_);
  ASSERT_TRUE(idle.Start(request));
  Hand busy(*stub_);
  ASSERT_TRUE(busy.Start(request));
  decodes_.Shut();
  ASSERT_TRUE(busy.Click(1));
  decodes_.WaitForCalls(1);
  WaitForMetric("semsam_interact_streams_active", "2");
  absl::Status drained;
  std::thread drainer([&] { drained = server_->Drain(absl::Seconds(20)); });
  const Failure told = ReadFailure(idle.ReadToTheEnd());
  EXPECT_EQ(told.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(told.reason, "DRAINING");
  decodes_.Open();
  EXPECT_EQ(ReadFailure(busy.ReadToTheEnd()).reason, "DRAINING");
  EXPECT_THAT(busy.masks(1), SizeIs(6));
  EXPECT_TRUE(busy.Wait(1).has_summary());
  drainer.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_F(RpcInteractTest, AnOldStreamEndsAfterItsAnswers) {
  options_.interact.max_age = absl::Seconds(1);
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  Hand busy(*stub_);
  ASSERT_TRUE(busy.Start(request));
  ASSERT_TRUE(busy.Click(1));
  decodes_.WaitForCalls(1);
  Hand idle(*stub_);
  EXPECT_EQ(ReadFailure(idle.ReadToTheEnd()).reason, "STREAM_EXPIRED");
  decodes_.Open();
  EXPECT_EQ(ReadFailure(busy.ReadToTheEnd()).reason, "STREAM_EXPIRED");
  EXPECT_TRUE(busy.Wait(1).has_summary());
}

TEST_F(RpcInteractTest, AClientThatNeverReadsIsCutOff) {
  mask_bytes_ = 600000;
  options_.default_deadline = absl::Seconds(1);
  options_.interact.max_age = absl::Seconds(1);
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  Hand stalled(*stub_);
  ASSERT_TRUE(stalled.Start(request));
  for (uint64_t id = 1; id <= 4; ++id) stalled.Click(id);
  ASSERT_TRUE(stalled.ReadOne());
  // Neither reads on nor cancels: only the server's clock can end the stream.
  WaitForMetric("semsam_interact_streams_active", "0");
  EXPECT_TRUE(server_->Drain(absl::Seconds(20)).ok());
  stalled.context().TryCancel();
  EXPECT_FALSE(stalled.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, StreamsAreBounded) {
  options_.interact.max_streams = 1;
  Start();
  Hand first(*stub_);
  ASSERT_TRUE(first.Click(1));
  EXPECT_TRUE(first.Wait(1).has_error()) << "before the start, but the stream is there";
  Hand second(*stub_);
  const Failure refused = ReadFailure(second.ReadToTheEnd());
  EXPECT_EQ(refused.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.reason, "QUEUE_FULL");
  EXPECT_TRUE(refused.has_retry_delay);
  first.HalfClose();
  EXPECT_TRUE(first.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, TheServerSaysWhatItAllows) {
  options_.interact.max_open_clicks = 5;
  Start();
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.limits().max_open_clicks(), 5);
  EXPECT_EQ(info.limits().max_interact_age().seconds(), 30 * 60);
}

TEST_F(RpcInteractTest, ClicksAreNamedAndTheirProgressToldWhereTheModelHasWords) {
  fake_options_.config = WithWords(fake_options_.config);
  Start();
  v1::SegmentRequest request = ClickOnNewImage();
  request.mutable_labels()->mutable_objects()->add_words("level 1");
  Hand hand(*stub_);
  ASSERT_TRUE(hand.Start(request));
  ASSERT_TRUE(hand.Click(1));
  EXPECT_TRUE(hand.Wait(1).has_summary());
  EXPECT_GE(hand.progress(1), 1);
  ASSERT_THAT(hand.masks(1), SizeIs(6));
  EXPECT_EQ(hand.masks(1)[0].object_labels(0).name(), "level 1");
  EXPECT_NE(hand.masks(1)[0].mask_id(), 0);
  hand.HalfClose();
  EXPECT_TRUE(hand.ReadToTheEnd().ok());
}

TEST_F(RpcInteractTest, ManyHandsComeAndGo) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  std::atomic<int> unexpected{0};
  std::vector<std::thread> hands;
  for (int t = 0; t < kThreads; ++t) {
    hands.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        Hand hand(*stub_);
        hand.Start(request);
        for (uint64_t id = 1; id <= 6; ++id) hand.Click(id, /*latest_wins=*/id % 2 == 0);
        const int way = (round + t) % 3;
        if (way == 0) {
          hand.Wait(1);
          hand.context().TryCancel();
          if (hand.ReadToTheEnd().error_code() != grpc::StatusCode::CANCELLED) ++unexpected;
          continue;
        }
        if (way == 1) hand.Cancel(6);
        hand.HalfClose();
        if (!hand.ReadToTheEnd().ok() || hand.order().size() != 6) ++unexpected;
      }
    });
  }
  for (std::thread& hand : hands) hand.join();
  EXPECT_EQ(unexpected, 0);
  WaitForMetric("semsam_interact_streams_active", "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_interact_clicks_open"), "0");
}

}  // namespace
}  // namespace semsam
