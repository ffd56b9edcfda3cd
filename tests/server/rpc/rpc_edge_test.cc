// Connections and calls at their limits: age, pings, streams, silence, retries, and the
// phases of an end.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>

#include <thread>

#include "model/base/errors.h"
#include "server/rpc/call_scope.h"
#include "tests/server/rpc/health_of.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

constexpr char kService[] = "semsam.v1.SegmentationService";

std::chrono::system_clock::time_point In(std::chrono::milliseconds delay) {
  return std::chrono::system_clock::now() + delay;
}

class RpcEdgeTest : public RpcFixture {
 protected:
  std::shared_ptr<grpc::Channel> Channel(grpc::ChannelArguments arguments) {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  static grpc::Status Info(Stub& stub, grpc::ClientContext& context) {
    v1::GetServerInfoResponse response;
    return stub.GetServerInfo(&context, {}, &response);
  }
  static grpc::Status Info(Stub& stub) {
    grpc::ClientContext context;
    return Info(stub, context);
  }
  // In one message, on a connection of its own.
  grpc::StatusCode SendMebibytes(int mebibytes) {
    v1::SegmentOnceRequest request;
    request.set_image_bytes(FakeImageBytes(80, 64) +
                            std::string(static_cast<size_t>(mebibytes) << 20, ' '));
    request.add_prompts()->mutable_click()->set_x(1);
    grpc::ClientContext context;
    v1::SegmentOnceResponse response;
    const auto stub = v1::SegmentationService::NewStub(Channel({}));
    return stub->SegmentOnce(&context, request, &response).error_code();
  }
  // Waits until the server has closed the connection of `channel`.
  static void WaitUntilClosed(grpc::Channel& channel) {
    while (channel.GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY) {
      channel.WaitForStateChange(GRPC_CHANNEL_READY, In(std::chrono::seconds(60)));
    }
  }
};

TEST_F(RpcEdgeTest, AConnectionIsClosedAtItsAge) {
  rpc_options_.connections.max_age = absl::Milliseconds(200);
  Start();
  const auto channel = Channel({});
  const auto stub = v1::SegmentationService::NewStub(channel);
  ASSERT_TRUE(Info(*stub).ok());
  WaitUntilClosed(*channel);
  EXPECT_TRUE(Info(*stub).ok()) << "on a connection of its own";
}

TEST_F(RpcEdgeTest, AClientThatPingsTooOftenIsSentAway) {
  rpc_options_.connections.min_ping_interval = absl::Hours(1);
  Start();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  const auto channel = Channel(arguments);
  const auto stub = v1::SegmentationService::NewStub(channel);
  ASSERT_TRUE(Info(*stub).ok());
  WaitUntilClosed(*channel);
}

TEST_F(RpcEdgeTest, OneConnectionCarriesSoManyCallsAndNoMore) {
  rpc_options_.connections.max_concurrent_streams = 1;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext context;
  auto running = stub_->Segment(&context, request);
  decodes_.WaitForCalls(1);
  grpc::ClientContext waiting;
  waiting.set_deadline(In(std::chrono::milliseconds(100)));
  EXPECT_EQ(Info(*stub_, waiting).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const std::string answered = "semsam_requests_total{code=\"OK\",method=\"GetServerInfo\"}";
  EXPECT_EQ(MetricValue(metrics_, answered), "0") << "it never left the client";
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
  EXPECT_TRUE(Info(*stub_).ok());
}

TEST_F(RpcEdgeTest, MetadataHasABound) {
  rpc_options_.connections.max_metadata_bytes = 12000;
  Start();
  const auto info_with = [this](size_t bytes) {
    grpc::ClientContext context;
    context.AddMetadata("baggage", std::string(bytes, 'x'));
    return Info(*stub_, context).error_code();
  };
  EXPECT_EQ(info_with(10000), grpc::StatusCode::OK);
  EXPECT_EQ(info_with(20000), grpc::StatusCode::RESOURCE_EXHAUSTED);
  // gRPC may give the connection up with it: the next one serves.
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  const auto fresh = v1::SegmentationService::NewStub(Channel({}));
  EXPECT_EQ(Info(*fresh, context).error_code(), grpc::StatusCode::OK);
}

TEST_F(RpcEdgeTest, AnUploadThatFallsSilentIsGivenUp) {
  rpc_options_.max_upload_pause = absl::Milliseconds(100);
  Start();
  grpc::ClientContext context;
  context.set_deadline(In(std::chrono::minutes(5)));
  v1::UploadImageResponse response;
  auto writer = stub_->UploadImage(&context, &response);
  writer->Write(Header(NewSession()));
  writer->Write(Chunk("half of"));
  const Failure failure = ReadFailure(writer->Finish());
  EXPECT_EQ(failure.code, grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(failure.reason, "UPLOAD_STALLED");
  ASSERT_TRUE(server_->Drain(absl::Seconds(20)).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_upload_buffer_bytes"), "0");
}

TEST_F(RpcEdgeTest, AnUploadMayTakeLongerThanItsPauses) {
  rpc_options_.max_upload_pause = absl::Seconds(1);
  Start();
  const std::string image = FakeImageBytes(80, 64);
  grpc::ClientContext context;
  v1::UploadImageResponse response;
  auto writer = stub_->UploadImage(&context, &response);
  writer->Write(Header(NewSession()));
  // Byte by byte, each after an answer of the server's, until the pause is long over.
  const absl::Time end = clock_.Now() + absl::Seconds(2);
  size_t sent = 0;
  while (sent + 1 < image.size() && clock_.Now() < end) {
    writer->Write(Chunk(image.substr(sent++, 1)));
    const absl::Time next = clock_.Now() + absl::Seconds(2) / static_cast<int>(image.size());
    while (clock_.Now() < next) EXPECT_TRUE(Info(*stub_).ok());
  }
  writer->Write(Chunk(image.substr(sent)));
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(RpcEdgeTest, ACallThatEndsBeforeItsRequestCameIsCancelledAndNoBadRequest) {
  Start();
  CallCounter counter(clock_);
  const auto authenticator = Authenticator::Create({});
  ASSERT_TRUE(authenticator.ok());
  const RpcParts parts{.engine = *engine_,
                       .metrics = metrics_,
                       .clock = clock_,
                       .calls = counter,
                       .authenticator = **authenticator};
  grpc::CallbackServerContext context;
  CallScope scope(parts, Method::kSegment, context);
  v1::SegmentRequest request;
  const absl::Status status = scope.Receive(grpc::ByteBuffer(), request);
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(scope.End(status).error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(MetricValue(metrics_, "semsam_requests_total{code=\"CANCELLED\",method=\"Segment\"}"),
            "1");
}

// The same over the wire: calls that begin, and send their message never.
TEST_F(RpcEdgeTest, AClientThatLeavesBeforeItsRequestLeavesNoBadRequest) {
  Start();
  grpc::GenericStub stub(channel_);
  for (int i = 0; i < 20; ++i) {
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    const auto call = stub.PrepareCall(&context, std::string("/") + kService + "/Segment", &queue);
    void* tag = nullptr;
    bool ok = false;
    call->StartCall(nullptr);
    ASSERT_TRUE(queue.Next(&tag, &ok));
    context.TryCancel();
    grpc::Status status;
    call->Finish(&status, nullptr);
    ASSERT_TRUE(queue.Next(&tag, &ok));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  }
  ASSERT_TRUE(server_->Drain(absl::Seconds(20)).ok());
  EXPECT_EQ(
      MetricValue(metrics_, "semsam_requests_total{code=\"INVALID_ARGUMENT\",method=\"Segment\"}"),
      "0");
}

TEST_F(RpcEdgeTest, GrpcHoldsNoMoreMemoryThanItsShare) {
  rpc_options_.connections.max_memory_bytes = 1 << 20;
  Start();
  for (int i = 0; i < 4; ++i) {
    const grpc::StatusCode code = SendMebibytes(3);
    // gRPC ends the stream, or the connection with it.
    EXPECT_TRUE(code == grpc::StatusCode::RESOURCE_EXHAUSTED ||
                code == grpc::StatusCode::UNAVAILABLE)
        << code;
  }
  EXPECT_EQ(segmenter_->encoded_images(), 0) << "and nobody saw the message";
  EXPECT_TRUE(Info(*v1::SegmentationService::NewStub(Channel({}))).ok()) << "what is small fits";
}

TEST_F(RpcEdgeTest, WhatGrpcMayHoldFits) {
  Start();
  EXPECT_EQ(SendMebibytes(3), grpc::StatusCode::OK);
}

// gRPC's own retry policy, as semsam::client sets it.
constexpr char kRetryPolicy[] = R"({"methodConfig": [{"name": [{}], "retryPolicy": {
    "maxAttempts": 5, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]}}]})";

TEST_F(RpcEdgeTest, ARetryPolicyObeysThePushBack) {
  options_.max_segment_calls = 1;
  options_.retry_after = absl::Milliseconds(500);
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kRetryPolicy);
  stub_ = v1::SegmentationService::NewStub(Channel(arguments));
  decodes_.Shut();
  grpc::ClientContext context;
  auto running = stub_->Segment(&context, request);
  decodes_.WaitForCalls(1);
  StreamLog second;
  std::thread caller([&] { second = Segment(request); });
  WaitForMetric("semsam_rejections_total{reason=\"QUEUE_FULL\"}", "1");
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
  caller.join();
  EXPECT_TRUE(second.status.ok()) << second.status.error_message();
  EXPECT_EQ(second.masks.size(), 6);
}

TEST_F(RpcEdgeTest, ARetryPolicyDoesNotRepeatWhatCannotHelp) {
  options_.sessions.max_images_per_session = 1;
  Start();
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kRetryPolicy);
  stub_ = v1::SegmentationService::NewStub(Channel(arguments));
  const std::string session = NewSession();
  ASSERT_TRUE(Upload({Header(session), Chunk(FakeImageBytes(80, 64))}).ok());
  const Failure failure =
      ReadFailure(Upload({Header(session), Chunk(FakeImageBytes(80, 64, "another"))}));
  EXPECT_EQ(failure.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(
      MetricValue(metrics_,
                  "semsam_requests_total{code=\"RESOURCE_EXHAUSTED\",method=\"UploadImage\"}"),
      "1");
}

TEST_F(RpcEdgeTest, AnErrorCarriesItsIdsBehindItsStatus) {
  Start();
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "mine");
  context.AddMetadata("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  v1::GetSessionRequest request;
  request.set_session_id("none");
  v1::GetSessionResponse response;
  EXPECT_FALSE(stub_->GetSession(&context, request, &response).ok());
  EXPECT_EQ(context.GetServerInitialMetadata().count("x-request-id"), 0)
      << "gRPC would take it for an answer, and not retry";
  const auto& trailing = context.GetServerTrailingMetadata();
  ASSERT_EQ(trailing.count("x-request-id"), 1);
  EXPECT_EQ(trailing.find("x-request-id")->second, "mine");
  ASSERT_EQ(trailing.count("traceresponse"), 1);
  EXPECT_TRUE(
      trailing.find("traceresponse")->second.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
}

TEST_F(RpcEdgeTest, AnAnswerCarriesItsTraceBeforeIt) {
  Start();
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
  EXPECT_TRUE(Segment(ClickOnNewImage(), context).status.ok());
  const auto& initial = context.GetServerInitialMetadata();
  EXPECT_EQ(initial.count("x-request-id"), 1);
  ASSERT_EQ(initial.count("traceresponse"), 1);
  EXPECT_TRUE(
      initial.find("traceresponse")->second.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
  grpc::ClientContext bad;
  bad.AddMetadata("traceparent", "nonsense");
  EXPECT_TRUE(Info(*stub_, bad).ok());
  EXPECT_EQ(bad.GetServerInitialMetadata().count("traceresponse"), 0);
}

// How fast, tests/soak/soak.py measures.
TEST_F(RpcEdgeTest, AFullQueueRefusesWhileTheModelIsAtWork) {
  options_.max_segment_calls = 1;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext context;
  auto running = stub_->Segment(&context, request);
  decodes_.WaitForCalls(1);
  for (int i = 0; i < 100; ++i) {
    const Failure refused = ReadFailure(Segment(request).status);
    ASSERT_EQ(refused.reason, "QUEUE_FULL");
    ASSERT_TRUE(refused.has_retry_delay);
  }
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
}

TEST_F(RpcEdgeTest, AServerIsNotReadyBeforeItIsWarm) {
  rpc_options_.start_ready = false;
  Start();
  EXPECT_EQ(HealthOf(channel_, ""), "NOT_SERVING");
  EXPECT_EQ(HealthOf(channel_, kService), "NOT_SERVING");
  EXPECT_EQ(HealthOf(channel_, kLiveService), "SERVING");
  EXPECT_EQ(HealthOf(channel_, "another"), "none");
  EXPECT_EQ(MetricValue(metrics_, "semsam_ready"), "0");
  EXPECT_TRUE(Segment(ClickOnNewImage()).status.ok()) << "calls are taken all the same";
  server_->readiness().WarmedUp();
  EXPECT_EQ(HealthOf(channel_, ""), "SERVING");
  EXPECT_EQ(HealthOf(channel_, kService), "SERVING");
  EXPECT_EQ(MetricValue(metrics_, "semsam_ready"), "1");
}

TEST_F(RpcEdgeTest, AFaultTakesLivenessDown) {
  Start();
  server_->readiness().ReportFault();
  EXPECT_EQ(HealthOf(channel_, ""), "NOT_SERVING");
  EXPECT_EQ(HealthOf(channel_, kLiveService), "NOT_SERVING");
  server_->readiness().WarmedUp();
  EXPECT_EQ(HealthOf(channel_, ""), "NOT_SERVING") << "for good";
}

TEST_F(RpcEdgeTest, ALameDuckServesItsSessionsAndTakesNoNewOnes) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  server_->StartLameDuck();
  EXPECT_EQ(HealthOf(channel_, ""), "NOT_SERVING");
  EXPECT_EQ(HealthOf(channel_, kService), "NOT_SERVING");
  EXPECT_EQ(HealthOf(channel_, kLiveService), "SERVING");
  EXPECT_EQ(MetricValue(metrics_, "semsam_draining"), "1");
  EXPECT_EQ(MetricValue(metrics_, "semsam_ready"), "0");
  grpc::ClientContext context;
  v1::CreateSessionResponse created;
  const Failure refused = ReadFailure(stub_->CreateSession(&context, {}, &created));
  EXPECT_EQ(refused.code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.reason, "DRAINING");
  EXPECT_EQ(Segment(request).masks.size(), 6);
  EXPECT_TRUE(
      Upload({Header(request.session_id()), Chunk(FakeImageBytes(80, 64, "another"))}).ok());
  server_->readiness().WarmedUp();
  EXPECT_EQ(HealthOf(channel_, ""), "NOT_SERVING") << "a warm-up that ends late changes nothing";
}

TEST_F(RpcEdgeTest, ClientsAreToldTheLimits) {
  rpc_options_.max_upload_pause = absl::Seconds(7);
  rpc_options_.connections.min_ping_interval = absl::Seconds(8);
  rpc_options_.max_message_bytes = 5 << 20;
  options_.max_deadline = absl::Minutes(9);
  options_.sessions.default_ttl = absl::Seconds(99);
  Start();
  grpc::ClientContext context;
  v1::GetServerInfoResponse response;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &response).ok());
  const v1::Limits& limits = response.limits();
  EXPECT_EQ(limits.max_upload_pause().seconds(), 7);
  EXPECT_EQ(limits.min_ping_interval().seconds(), 8);
  EXPECT_EQ(limits.max_message_bytes(), 5 << 20);
  EXPECT_EQ(limits.max_deadline().seconds(), 540);
  EXPECT_EQ(limits.default_session_ttl().seconds(), 99);
}

TEST(ConnectionOptionsTest, BadOptionsNameTheirField) {
  EXPECT_TRUE(ConnectionOptions{}.Validate().ok());
  const std::pair<const char*, ConnectionOptions> cases[] = {
      {"connections.keepalive_time", {.keepalive_time = absl::ZeroDuration()}},
      {"connections.keepalive_timeout", {.keepalive_timeout = absl::InfiniteDuration()}},
      {"connections.min_ping_interval", {.min_ping_interval = -absl::Seconds(1)}},
      {"connections.max_age", {.max_age = absl::ZeroDuration()}},
      {"connections.max_age_grace", {.max_age_grace = -absl::Seconds(1)}},
      {"connections.max_concurrent_streams", {.max_concurrent_streams = 0}},
      {"connections.max_memory_bytes", {.max_memory_bytes = 0}},
      {"connections.max_metadata_bytes", {.max_metadata_bytes = 10}},
  };
  for (const auto& [field, options] : cases) {
    EXPECT_EQ(ErrorField(options.Validate()), field);
  }
  EXPECT_TRUE(ConnectionOptions{.max_age = absl::InfiniteDuration()}.Validate().ok());
}

}  // namespace
}  // namespace semsam
