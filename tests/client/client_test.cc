// Calls of Client but for uploads: fields, streaming, time limits, errors.
#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <numeric>
#include <thread>

#include "tests/client/client_fixture.h"

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(ClientTest, MasksArriveWithEveryField) {
  request_.options.levels = {3, 1};
  const auto summary = Segment();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->masks_sent, 2);
  EXPECT_EQ(summary->masks_filtered, 0);
  EXPECT_EQ(summary->image_size, (ImageSize{.height = 48, .width = 64}));
  EXPECT_EQ(summary->timings.decode, absl::Milliseconds(3));
  EXPECT_FALSE(summary->timings.encode.has_value());

  ASSERT_THAT(masks_, SizeIs(2));
  const Mask& mask = masks_[0];
  EXPECT_EQ(mask.prompt_index, 0);
  EXPECT_EQ(mask.prompt_tag, "first");
  EXPECT_EQ(mask.level, 3);
  EXPECT_FLOAT_EQ(mask.predicted_iou, 0.87f);
  EXPECT_FLOAT_EQ(mask.stability, 0.95f);
  const auto bitmap = DecodeMask(mask);
  ASSERT_TRUE(bitmap.ok()) << bitmap.status();
  EXPECT_EQ(std::accumulate(bitmap->pixels.begin(), bitmap->pixels.end(), int64_t{0}),
            mask.area_px);
  EXPECT_EQ(bitmap->pixels[mask.box.y * 64 + mask.box.x], 1);
  EXPECT_EQ(bitmap->pixels[(mask.box.y - 1) * 64 + mask.box.x], 0);
}

TEST_F(ClientTest, RequestsCarryEveryOption) {
  request_.prompts = {{.shape = Box{1, 2, 3, 4}, .frame = CoordinateFrame::kNormalized, .tag = "b"},
                      {.shape = Click{5, 6}}};
  request_.options = {.levels = {2, 6},
                      .min_predicted_iou = -0.5f,
                      .min_stability = 0.25f,
                      .max_duplicate_iou = 0.75f,
                      .min_region_area_px = 9,
                      .encoding = MaskEncoding::kPackedBits,
                      .resolution = MaskResolution::kNetwork,
                      .joint_attention = true};
  ASSERT_TRUE(Segment().ok());
  const v1::SegmentRequest sent = server_.service().segment_requests().back();
  EXPECT_EQ(sent.session_id(), request_.session_id);
  EXPECT_EQ(sent.image_id(), request_.image_id);
  ASSERT_EQ(sent.prompts_size(), 2);
  EXPECT_EQ(sent.prompts(0).box().x0(), 1);
  EXPECT_EQ(sent.prompts(0).box().y0(), 2);
  EXPECT_EQ(sent.prompts(0).box().x1(), 3);
  EXPECT_EQ(sent.prompts(0).box().y1(), 4);
  EXPECT_EQ(sent.prompts(0).frame(), v1::COORDINATE_FRAME_NORMALIZED);
  EXPECT_EQ(sent.prompts(0).tag(), "b");
  EXPECT_EQ(sent.prompts(1).click().x(), 5);
  EXPECT_EQ(sent.prompts(1).frame(), v1::COORDINATE_FRAME_PIXELS);
  EXPECT_THAT(sent.options().levels(), ElementsAre(2, 6));
  EXPECT_EQ(sent.options().min_predicted_iou(), -0.5f);
  EXPECT_EQ(sent.options().min_stability(), 0.25f);
  EXPECT_EQ(sent.options().max_duplicate_iou(), 0.75f);
  EXPECT_EQ(sent.options().min_region_area_px(), 9);
  EXPECT_EQ(sent.options().encoding(), v1::MASK_ENCODING_PACKED_BITS);
  EXPECT_EQ(sent.options().resolution(), v1::MASK_RESOLUTION_NETWORK);
  EXPECT_TRUE(sent.options().joint_attention());
}

TEST_F(ClientTest, UnsetThresholdsStayUnsetOnTheWire) {
  ASSERT_TRUE(Segment().ok());
  const v1::SegmentOptions sent = server_.service().segment_requests().back().options();
  EXPECT_FALSE(sent.has_min_predicted_iou());
  EXPECT_FALSE(sent.has_min_stability());
  EXPECT_FALSE(sent.has_max_duplicate_iou());
}

TEST_F(ClientTest, ArgumentsThatTheWireCannotCarryAreNamed) {
  EXPECT_EQ(ErrorField(client_->Segment(request_, nullptr).status()), "on_mask");
  request_.options.levels = {1, -3};
  EXPECT_EQ(ErrorField(Segment().status()), "options.levels[1]");
  request_.options.levels = {1};
  request_.options.min_region_area_px = -1;
  EXPECT_EQ(ErrorField(Segment().status()), "options.min_region_area_px");
  EXPECT_THAT(server_.service().segment_requests(), IsEmpty());
}

TEST_F(ClientTest, EachMaskIsDeliveredBeforeTheNextIsSent) {
  const auto first_seen = std::make_shared<std::promise<void>>();
  server_.service().OnSegment([first_seen](auto&, const auto&, auto& writer) {
    writer.Write(MaskMessage());
    first_seen->get_future().wait();  // a client that waits for the end never lets go
    writer.Write(MaskMessage());
    writer.Write(SummaryMessage(2));
    return grpc::Status::OK;
  });
  int count = 0;
  const auto summary = client_->Segment(request_, [&](const Mask&) {
    if (++count == 1) first_seen->set_value();
    return true;
  });
  EXPECT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(count, 2);
}

// Makes the server send masks until the client goes away, and tells whether it
// learned of that.
class EndlessServer {
 public:
  explicit EndlessServer(ScriptedService& service) {
    service.OnSegment([state = state_](grpc::ServerContext& context, const auto&, auto& writer) {
      writer.Write(MaskMessage());
      state->started.set_value();
      while (!context.IsCancelled() && writer.Write(MaskMessage())) {
      }
      state->ended.set_value();
      return grpc::Status::CANCELLED;
    });
  }
  void WaitUntilStarted() { state_->started.get_future().wait(); }
  bool SawTheEnd() {
    return state_->ended.get_future().wait_for(std::chrono::seconds(30)) ==
           std::future_status::ready;
  }

 private:
  struct State {
    std::promise<void> started;
    std::promise<void> ended;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

TEST_F(ClientTest, ADeadlineEndsTheCallOnBothSides) {
  EndlessServer endless(server_.service());
  const auto summary = Segment({.timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(summary.status())) << summary.status();
  EXPECT_TRUE(endless.SawTheEnd());
}

TEST_F(ClientTest, TheDefaultTimeoutHoldsWhereACallNamesNone) {
  const auto client = ConnectTo(server_, {.default_timeout = absl::Milliseconds(100)});
  EndlessServer endless(server_.service());
  const auto summary = client->Segment(request_, [](const Mask&) { return true; });
  EXPECT_TRUE(absl::IsDeadlineExceeded(summary.status())) << summary.status();
  EXPECT_TRUE(endless.SawTheEnd());
}

TEST_F(ClientTest, ACallbackThatReturnsFalseCancels) {
  EndlessServer endless(server_.service());
  int count = 0;
  const auto summary = client_->Segment(request_, [&count](const Mask&) { return ++count < 2; });
  EXPECT_TRUE(absl::IsCancelled(summary.status())) << summary.status();
  EXPECT_EQ(count, 2);
  EXPECT_TRUE(endless.SawTheEnd());
}

TEST_F(ClientTest, AStopRequestFromAnotherThreadCancels) {
  EndlessServer endless(server_.service());
  std::stop_source stop;
  std::jthread other([&] {
    endless.WaitUntilStarted();
    stop.request_stop();
  });
  const auto summary = Segment({.stop = stop.get_token()});
  EXPECT_TRUE(absl::IsCancelled(summary.status())) << summary.status();
  EXPECT_TRUE(endless.SawTheEnd());
}

TEST_F(ClientTest, AStopRequestBeforeTheCallCancelsIt) {
  std::stop_source stop;
  stop.request_stop();
  const CallOptions call{.stop = stop.get_token()};
  EXPECT_TRUE(absl::IsCancelled(Segment(call).status()));
  EXPECT_TRUE(absl::IsCancelled(client_->GetServerInfo(call).status()));
  EXPECT_TRUE(absl::IsCancelled(
      client_->UploadImage(request_.session_id, *image_, nullptr, call).status()));
}

TEST_F(ClientTest, ErrorsKeepCodeTextAndDetails) {
  Script({}, MakeError({.code = grpc::StatusCode::INVALID_ARGUMENT,
                        .message = "lies outside the image",
                        .reason = "POINT_OUTSIDE_IMAGE",
                        .field = "prompts[0].click.x"}));
  const absl::Status status = Segment().status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "prompts[0].click.x: lies outside the image");
  EXPECT_EQ(ErrorField(status), "prompts[0].click.x");
  EXPECT_EQ(ErrorReason(status), "POINT_OUTSIDE_IMAGE");
  EXPECT_EQ(ErrorRetryAfter(status), std::nullopt);
}

TEST_F(ClientTest, AFieldThatTheTextNamesIsNotNamedTwice) {
  Script({}, MakeError({.code = grpc::StatusCode::INVALID_ARGUMENT,
                        .message = "session_id: must be set",
                        .reason = "INVALID_ARGUMENT_FIELD",
                        .field = "session_id"}));
  EXPECT_EQ(Segment().status().message(), "session_id: must be set");
}

TEST_F(ClientTest, AnOverloadedServerSaysWhenToComeBack) {
  Script({}, MakeError({.code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                        .message = "queue full",
                        .reason = "QUEUE_FULL",
                        .retry_after_ms = 1500}));
  const absl::Status status = Segment().status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(1500));
}

TEST_F(ClientTest, DetailsThatDoNotParseLeaveCodeAndText) {
  Script({}, grpc::Status(grpc::StatusCode::INTERNAL, "broken", "\xff\xff garbage"));
  const absl::Status status = Segment().status();
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_EQ(status.message(), "broken");
  EXPECT_EQ(ErrorReason(status), std::nullopt);
}

TEST_F(ClientTest, ABrokenStreamIsDataLoss) {
  v1::SegmentResponse without_data = MaskMessage();
  without_data.mutable_mask()->clear_data();
  v1::SegmentResponse huge = MaskMessage();
  huge.mutable_mask()->mutable_size()->set_width(0xffffffff);
  const std::vector<std::vector<v1::SegmentResponse>> streams = {
      {MaskMessage()},                                 // no summary
      {MaskMessage(), SummaryMessage(2)},              // one is missing
      {SummaryMessage(1), MaskMessage()},              // more after the end
      {MaskMessage(/*prompt=*/1), SummaryMessage(1)},  // nobody asked
      {without_data, SummaryMessage(1)},               //
      {huge, SummaryMessage(1)},                       //
  };
  for (size_t i = 0; i < streams.size(); ++i) {
    Script(streams[i]);
    EXPECT_TRUE(absl::IsDataLoss(Segment().status())) << "stream " << i;
  }
}

TEST_F(ClientTest, SegmentOnceTakesAnImageInline) {
  const auto result = client_->SegmentOnce(
      {.image = std::string("bytes"), .prompts = request_.prompts, .options = {.levels = {2}}});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->masks, SizeIs(1));
  EXPECT_EQ(result->masks[0].level, 2);
  EXPECT_EQ(result->summary.masks_sent, 1);
  EXPECT_EQ(server_.service().once_requests().back().image_bytes(), "bytes");
}

TEST_F(ClientTest, SegmentOnceTakesAnImageOfASession) {
  const SegmentOnceRequest::Reference reference{request_.session_id, request_.image_id};
  EXPECT_THAT(client_->SegmentOnce({.image = reference, .prompts = request_.prompts})->masks,
              SizeIs(6));
  server_.service().ForgetImages();
  EXPECT_TRUE(absl::IsNotFound(
      client_->SegmentOnce({.image = reference, .prompts = request_.prompts}).status()));
}

TEST_F(ClientTest, SessionsAreCreatedReadAndDeleted) {
  const auto created = client_->CreateSession(absl::Seconds(90));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->ttl, absl::Seconds(90));
  EXPECT_EQ(created->create_time, absl::FromUnixSeconds(1000));
  EXPECT_EQ(created->expire_time, absl::FromUnixSeconds(1090));

  const auto read = client_->GetSession(request_.session_id);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_THAT(read->images, SizeIs(1));
  EXPECT_EQ(read->images[0].image_id, request_.image_id);

  EXPECT_TRUE(client_->DeleteSession(created->session_id).ok());
  EXPECT_TRUE(absl::IsNotFound(client_->DeleteSession(created->session_id)));
}

TEST_F(ClientTest, ATimeToLiveThatIsNoTimeNamesItsField) {
  EXPECT_EQ(ErrorField(client_->CreateSession(absl::Seconds(-1)).status()), "ttl");
  EXPECT_EQ(ErrorField(client_->CreateSession(absl::InfiniteDuration()).status()), "ttl");
}

TEST_F(ClientTest, ManyThreadsShareOneClient) {
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (int call = 0; call < 10; ++call) {
          int masks = 0;
          const auto summary =
              client_->Segment(request_, [&masks](const Mask&) { return ++masks > 0; });
          if (summary.ok() && masks == 6) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 80);
}

}  // namespace
}  // namespace semsam::client
