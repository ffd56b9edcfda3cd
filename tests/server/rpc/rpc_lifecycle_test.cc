// Clients that leave, stall or wait too long, and a server that stops.
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "tests/fakes/metric_value.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

// Every test ends with a drain that finds no call left; see the fixture.
class RpcLifecycleTest : public RpcFixture {};

std::chrono::system_clock::time_point In(std::chrono::milliseconds delay) {
  return std::chrono::system_clock::now() + delay;
}

TEST_F(RpcLifecycleTest, ACancelledCallNeverReachesTheModel) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext running_context;
  auto running = stub_->Segment(&running_context, request);
  decodes_.WaitForCalls(1);
  grpc::ClientContext left_context;
  auto left = stub_->Segment(&left_context, request);
  WaitForMetric("semsam_segment_calls_active", "2");
  left_context.TryCancel();
  EXPECT_EQ(left->Finish().error_code(), grpc::StatusCode::CANCELLED);
  WaitForMetric("semsam_segment_calls_active", "1");
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
}

TEST_F(RpcLifecycleTest, TheClientsDeadlineEndsACallThatWaits) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext running_context;
  auto running = stub_->Segment(&running_context, request);
  decodes_.WaitForCalls(1);
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::milliseconds(100)));
  EXPECT_EQ(Segment(request, context).status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  // The server's view of the same deadline comes a little later.
  WaitForMetric("semsam_segment_calls_active", "1");
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
  EXPECT_TRUE(Segment(request).status.ok());
  EXPECT_EQ(segmenter_->decoded_requests(), 2) << "the expired one was never decoded";
}

TEST_F(RpcLifecycleTest, ACallWithoutADeadlineGetsTheServersOwn) {
  options_.default_deadline = absl::Milliseconds(300);
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext running_context;
  running_context.set_deadline(In(std::chrono::seconds(60)));
  auto running = stub_->Segment(&running_context, request);
  decodes_.WaitForCalls(1);
  EXPECT_EQ(Segment(request).status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED)
      << "answered while the model is busy";
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
}

TEST_F(RpcLifecycleTest, AnUploadThatStallsEndsAtItsDeadline) {
  options_.default_deadline = absl::Milliseconds(200);
  Start();
  grpc::ClientContext context;
  v1::UploadImageResponse response;
  auto writer = stub_->UploadImage(&context, &response);
  writer->Write(Header(NewSession()));
  writer->Write(Chunk("half of"));
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_TRUE(server_->Drain(absl::Seconds(20)).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "0");
}

TEST_F(RpcLifecycleTest, AnUploadThatIsCancelledGivesItsBytesBack) {
  Start();
  grpc::ClientContext context;
  v1::UploadImageResponse response;
  auto writer = stub_->UploadImage(&context, &response);
  writer->Write(Header(NewSession()));
  writer->Write(Chunk(std::string(1000, 'x')));
  context.TryCancel();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  ASSERT_TRUE(server_->Drain(absl::Seconds(20)).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "0");
}

TEST_F(RpcLifecycleTest, AClientThatStopsReadingHoldsNeitherDeviceNorThread) {
  mask_bytes_ = 600000;
  options_.cpu_threads = 1;
  Start();
  v1::SegmentRequest request = ClickOnNewImage();
  grpc::ClientContext stalled_context;
  auto stalled = stub_->Segment(&stalled_context, request);
  v1::SegmentResponse response;
  ASSERT_TRUE(stalled->Read(&response));
  // Others are served whole meanwhile.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Segment(request).masks.size(), 6);
  EXPECT_LT(stages_->encoded_masks(), 3 * 6 + 6) << "the stalled call has not gone on";
  stalled_context.TryCancel();
  EXPECT_EQ(stalled->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(RpcLifecycleTest, AClientThatNeverReadsIsCutOff) {
  mask_bytes_ = 600000;
  options_.default_deadline = absl::Milliseconds(100);
  Start();
  grpc::ClientContext context;
  auto stalled = stub_->Segment(&context, ClickOnNewImage());
  v1::SegmentResponse response;
  ASSERT_TRUE(stalled->Read(&response));
  // Neither reads on nor cancels: only the server's own deadline can end the call.
  EXPECT_TRUE(server_->Drain(absl::Seconds(20)).ok());
  context.TryCancel();
  (void)stalled->Finish();
}

TEST_F(RpcLifecycleTest, DrainingFinishesWhatRunsAndRefusesTheRest) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext running_context;
  auto running = stub_->Segment(&running_context, request);
  decodes_.WaitForCalls(1);
  engine_->StartDrain();
  absl::Status drained;
  std::thread drainer([&] { drained = server_->Drain(absl::Seconds(20)); });
  const Failure refused = ReadFailure(Segment(request).status);
  EXPECT_EQ(refused.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.reason, "DRAINING");
  decodes_.Open();
  v1::SegmentResponse response;
  int masks = 0;
  while (running->Read(&response)) masks += response.has_mask();
  EXPECT_EQ(masks, 6);
  EXPECT_TRUE(running->Finish().ok());
  drainer.join();
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_EQ(MetricValue(metrics_, "semsam_draining"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_ready"), "0");
}

TEST_F(RpcLifecycleTest, WhatOutlivesTheGraceIsCancelled) {
  mask_bytes_ = 600000;
  Start();
  grpc::ClientContext context;
  auto stalled = stub_->Segment(&context, ClickOnNewImage());
  v1::SegmentResponse response;
  ASSERT_TRUE(stalled->Read(&response));
  EXPECT_EQ(server_->Drain(absl::Milliseconds(50)).code(), absl::StatusCode::kDeadlineExceeded);
  while (stalled->Read(&response)) {
  }
  EXPECT_FALSE(stalled->Finish().ok());
}

TEST_F(RpcLifecycleTest, ManyClientsComeAndGo) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  std::atomic<int> unexpected{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < kThreads; ++t) {
    clients.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        grpc::ClientContext context;
        auto reader = stub_->Segment(&context, request);
        v1::SegmentResponse response;
        const bool leaves = (i + t) % 3 == 0;
        int masks = 0;
        while (reader->Read(&response)) {
          masks += response.has_mask();
          if (leaves) context.TryCancel();
        }
        const grpc::Status status = reader->Finish();
        const bool whole = status.ok() && masks == 6;
        if (!whole && !(leaves && status.error_code() == grpc::StatusCode::CANCELLED)) {
          ++unexpected;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(unexpected, 0);
}

}  // namespace
}  // namespace semsam
