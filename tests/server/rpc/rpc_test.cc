// The service as a client of generated stubs sees it: answers and refusals.
#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "tests/fakes/metric_value.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

class RpcTest : public RpcFixture {};

TEST_F(RpcTest, TheMainJob) {
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  const StreamLog log = Segment(request);
  ASSERT_TRUE(log.status.ok()) << log.status.error_message();
  ASSERT_EQ(log.masks.size(), 6);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(log.masks[i].level(), i + 1);
    EXPECT_EQ(log.masks[i].size().width(), 80);
    EXPECT_FALSE(log.masks[i].coco_rle().empty());
    EXPECT_GT(log.masks[i].area(), 0);
  }
  EXPECT_EQ(log.summary.masks_sent(), 6);
  EXPECT_EQ(log.summary.image_size().height(), 64);
  EXPECT_TRUE(log.summary.timings().has_decode());
  EXPECT_FALSE(log.summary.timings().has_encode());
  EXPECT_EQ(MetricValue(metrics_, "semsam_requests_total{code=\"OK\",method=\"Segment\"}"), "1");
}

TEST_F(RpcTest, TheServerSaysWhatItIsAndWhatItAllows) {
  fake_options_.vocabulary = {.objects = {"cat", "dog"}, .parts = {"head"}};
  Start();
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.server_version(), "1.2.3");
  EXPECT_EQ(info.model().levels_size(), 6);
  EXPECT_EQ(info.model().levels(2).name(), "instance");
  EXPECT_TRUE(info.model().capabilities().click_prompts());
  EXPECT_FALSE(info.model().capabilities().vocabulary());
  EXPECT_FALSE(info.model().trained());
  EXPECT_THAT(info.model().vocabulary().objects(), testing::ElementsAre("cat", "dog"));
  EXPECT_THAT(info.model().vocabulary().parts(), testing::ElementsAre("head"));
  EXPECT_EQ(info.limits().max_chunk_bytes(), 256 * 1024);
  EXPECT_EQ(info.limits().max_prompts_per_request(), 64);
  EXPECT_EQ(info.limits().default_deadline().seconds(), 30);
}

TEST_F(RpcTest, SessionsAreMadeShownAndEnded) {
  Start();
  const v1::SegmentRequest click = ClickOnNewImage();
  grpc::ClientContext get_context;
  v1::GetSessionRequest get;
  get.set_session_id(click.session_id());
  v1::GetSessionResponse session;
  ASSERT_TRUE(stub_->GetSession(&get_context, get, &session).ok());
  ASSERT_EQ(session.session().images_size(), 1);
  EXPECT_EQ(session.session().images(0).image_id(), click.image_id());
  EXPECT_EQ(session.session().images(0).sha256().size(), 64);
  EXPECT_EQ(session.session().ttl().seconds(), 600);
  EXPECT_GT(session.session().expire_time().seconds(), session.session().create_time().seconds());

  v1::DeleteSessionRequest end;
  end.set_session_id(click.session_id());
  v1::DeleteSessionResponse ended;
  grpc::ClientContext first;
  EXPECT_TRUE(stub_->DeleteSession(&first, end, &ended).ok());
  grpc::ClientContext second;
  const Failure failure = ReadFailure(stub_->DeleteSession(&second, end, &ended));
  EXPECT_EQ(failure.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(failure.reason, "SESSION_NOT_FOUND");
  EXPECT_EQ(ReadFailure(Segment(click).status).reason, "SESSION_NOT_FOUND");
}

TEST_F(RpcTest, ATtlBeyondTheLimitIsRefused) {
  Start();
  grpc::ClientContext context;
  v1::CreateSessionRequest request;
  request.mutable_ttl()->set_seconds(1000000);
  v1::CreateSessionResponse response;
  const Failure failure = ReadFailure(stub_->CreateSession(&context, request, &response));
  EXPECT_EQ(failure.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(failure.field, "ttl");
}

TEST_F(RpcTest, SegmentOnceTakesAnImageOrAReference) {
  Start();
  v1::SegmentOnceRequest inline_request;
  inline_request.set_image_bytes(FakeImageBytes(80, 64));
  AddClick(inline_request, 40, 32);
  grpc::ClientContext inline_context;
  v1::SegmentOnceResponse inline_response;
  ASSERT_TRUE(stub_->SegmentOnce(&inline_context, inline_request, &inline_response).ok());
  EXPECT_EQ(inline_response.masks_size(), 6);
  EXPECT_EQ(inline_response.summary().masks_sent(), 6);

  const v1::SegmentRequest click = ClickOnNewImage();
  v1::SegmentOnceRequest request;
  request.mutable_reference()->set_session_id(click.session_id());
  request.mutable_reference()->set_image_id(click.image_id());
  *request.mutable_prompts() = click.prompts();
  grpc::ClientContext context;
  v1::SegmentOnceResponse response;
  ASSERT_TRUE(stub_->SegmentOnce(&context, request, &response).ok());
  EXPECT_EQ(response.masks_size(), 6);

  request.clear_image();
  grpc::ClientContext none;
  const Failure failure = ReadFailure(stub_->SegmentOnce(&none, request, &response));
  EXPECT_EQ(failure.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(failure.field, "image");
}

TEST_F(RpcTest, AnAnswerLargerThanAMessageIsRefused) {
  mask_bytes_ = 300000;
  rpc_options_.max_message_bytes = 1 << 20;
  Start();
  v1::SegmentOnceRequest request;
  request.set_image_bytes(FakeImageBytes(80, 64));
  AddClick(request, 40, 32);
  grpc::ClientContext context;
  v1::SegmentOnceResponse response;
  const Failure failure = ReadFailure(stub_->SegmentOnce(&context, request, &response));
  EXPECT_EQ(failure.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(failure.reason, "LIMIT_EXCEEDED");
}

TEST_F(RpcTest, AStreamLargerThanTheWindowComesThroughWhole) {
  mask_bytes_ = 700000;  // two fill the window of the engine
  Start();
  v1::SegmentRequest request = ClickOnNewImage();
  AddClick(request, 10, 10);
  const StreamLog log = Segment(request);
  ASSERT_TRUE(log.status.ok()) << log.status.error_message();
  EXPECT_EQ(log.masks.size(), 12);
  EXPECT_EQ(log.summary.masks_sent(), 12);
}

TEST_F(RpcTest, EveryBadSegmentRequestNamesItsFieldAndLeavesTheServerAlive) {
  Start();
  const v1::SegmentRequest good = ClickOnNewImage();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    const char* field;
    const char* reason;
    std::function<void(v1::SegmentRequest&)> spoil;
  };
  const Case cases[] = {
      {"prompts", "INVALID_ARGUMENT_FIELD", [](auto& r) { r.clear_prompts(); }},
      {"prompts[0]", "INVALID_ARGUMENT_FIELD", [](auto& r) { r.mutable_prompts(0)->Clear(); }},
      {"prompts[1].click.x", "POINT_OUTSIDE_IMAGE", [](auto& r) { AddClick(r, 81, 1); }},
      {"prompts[0].click.y", "INVALID_ARGUMENT_FIELD",
       [nan](auto& r) { r.mutable_prompts(0)->mutable_click()->set_y(nan); }},
      {"prompts[0].frame", "INVALID_ARGUMENT_FIELD",
       [](auto& r) { r.mutable_prompts(0)->set_frame(static_cast<v1::CoordinateFrame>(9)); }},
      {"prompts[0].tag", "LIMIT_EXCEEDED",
       [](auto& r) { r.mutable_prompts(0)->set_tag(std::string(65, 'x')); }},
      {"prompts", "LIMIT_EXCEEDED",
       [](auto& r) {
         for (int i = 0; i < 64; ++i) AddClick(r, 1, 1);
       }},
      {"options.levels[0]", "UNKNOWN_LEVEL",
       [](auto& r) { r.mutable_options()->add_levels(4000000000u); }},
      {"options.encoding", "INVALID_ARGUMENT_FIELD",
       [](auto& r) { r.mutable_options()->set_encoding(static_cast<v1::MaskEncoding>(99)); }},
      {"options.resolution", "INVALID_ARGUMENT_FIELD",
       [](auto& r) { r.mutable_options()->set_resolution(static_cast<v1::MaskResolution>(99)); }},
      {"options.min_stability", "INVALID_ARGUMENT_FIELD",
       [nan](auto& r) { r.mutable_options()->set_min_stability(nan); }},
  };
  for (const Case& test : cases) {
    v1::SegmentRequest request = good;
    test.spoil(request);
    const Failure failure = ReadFailure(Segment(request).status);
    EXPECT_EQ(failure.code, grpc::StatusCode::INVALID_ARGUMENT) << test.field;
    EXPECT_EQ(failure.field, test.field);
    EXPECT_EQ(failure.reason, test.reason) << test.field;
    EXPECT_EQ(failure.domain, "semsam");
  }
  EXPECT_TRUE(Segment(good).status.ok());
}

TEST_F(RpcTest, EveryBrokenUploadIsRefusedAndLeavesTheServerAlive) {
  options_.image.max_bytes = 1 << 20;
  Start();
  const std::string session = NewSession();
  const std::string image = FakeImageBytes(80, 64);
  struct Case {
    const char* what;
    const char* field;
    const char* reason;
    std::vector<v1::UploadImageRequest> messages;
  };
  const std::string full_chunk(256 * 1024, 'x');
  const Case cases[] = {
      {"nothing", "header", "UPLOAD_PROTOCOL", {}},
      {"chunk before header", "header", "UPLOAD_PROTOCOL", {Chunk(image), Header(session)}},
      {"two headers", "header", "UPLOAD_PROTOCOL", {Header(session), Header(session)}},
      {"empty message", "part", "UPLOAD_PROTOCOL", {Header(session), {}}},
      {"empty file", "chunk", "UPLOAD_PROTOCOL", {Header(session)}},
      {"oversized chunk",
       "chunk",
       "UPLOAD_PROTOCOL",
       {Header(session), Chunk(std::string(256 * 1024 + 1, 'x'))}},
      {"too few bytes",
       "header.total_bytes",
       "UPLOAD_PROTOCOL",
       {Header(session, 1000), Chunk(image)}},
      {"too many bytes", "chunk", "UPLOAD_PROTOCOL", {Header(session, 2), Chunk(image)}},
      {"announced too large",
       "header.total_bytes",
       "IMAGE_TOO_LARGE",
       {Header(session, (1 << 20) + 1)}},
      {"too large",
       "chunk",
       "IMAGE_TOO_LARGE",
       {Header(session), Chunk(full_chunk), Chunk(full_chunk), Chunk(full_chunk), Chunk(full_chunk),
        Chunk("x")}},
      {"no digest", "header.sha256", "INVALID_ARGUMENT_FIELD", {Header(session, 0, "zz")}},
      {"another digest",
       "header.sha256",
       "DIGEST_MISMATCH",
       {Header(session, 0, std::string(64, '0')), Chunk(image)}},
      {"no image", "chunk", "IMAGE_UNDECODABLE", {Header(session), Chunk("hello")}},
  };
  for (const Case& test : cases) {
    const Failure failure = ReadFailure(Upload(test.messages));
    EXPECT_EQ(failure.code, grpc::StatusCode::INVALID_ARGUMENT) << test.what;
    EXPECT_EQ(failure.field, test.field) << test.what;
    EXPECT_EQ(failure.reason, test.reason) << test.what;
  }
  const Failure unknown = ReadFailure(Upload({Header("nobody"), Chunk(image)}));
  EXPECT_EQ(unknown.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(unknown.reason, "SESSION_NOT_FOUND");
  EXPECT_TRUE(Upload({Header(session), Chunk(image)}).ok());
}

TEST_F(RpcTest, AnImageThatIsNoLongerHeldIsNamedByItsDigest) {
  options_.cache_bytes = 0;
  options_.sessions.max_retained_bytes = 0;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  engine_->Tick();
  const Failure failure = ReadFailure(Segment(request).status);
  EXPECT_EQ(failure.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(failure.reason, "IMAGE_NOT_FOUND");
  EXPECT_EQ(failure.sha256.size(), 64);
}

TEST_F(RpcTest, AFullServerPushesBack) {
  options_.max_segment_calls = 1;
  Start();
  const v1::SegmentRequest request = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext running_context;
  auto running = stub_->Segment(&running_context, request);
  decodes_.WaitForCalls(1);
  grpc::ClientContext context;
  const Failure failure = ReadFailure(Segment(request, context).status);
  EXPECT_EQ(failure.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(failure.reason, "QUEUE_FULL");
  EXPECT_TRUE(failure.has_retry_delay);
  const auto pushback = context.GetServerTrailingMetadata().find("grpc-retry-pushback-ms");
  ASSERT_NE(pushback, context.GetServerTrailingMetadata().end());
  EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()), "250");
  EXPECT_EQ(MetricValue(metrics_, "semsam_rejections_total{reason=\"QUEUE_FULL\"}"), "1");
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
}

TEST_F(RpcTest, TheRequestIdIsEchoedOrMadeUp) {
  Start();
  const auto answered_id = [this](const std::string& sent) {
    grpc::ClientContext context;
    if (!sent.empty()) context.AddMetadata("x-request-id", sent);
    v1::GetServerInfoResponse info;
    EXPECT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
    const auto id = context.GetServerInitialMetadata().find("x-request-id");
    return id == context.GetServerInitialMetadata().end()
               ? std::string()
               : std::string(id->second.data(), id->second.size());
  };
  EXPECT_EQ(answered_id("trace-42.a_b"), "trace-42.a_b");
  EXPECT_EQ(answered_id("").size(), 16);
  const std::string forged = "x code=OK";
  EXPECT_NE(answered_id(forged), forged);
  EXPECT_EQ(answered_id(std::string(65, 'x')).size(), 16);
}

TEST_F(RpcTest, AMessageAboveTheLimitIsRefused) {
  Start();
  v1::SegmentOnceRequest request;
  request.set_image_bytes(std::string(5 << 20, 'x'));
  AddClick(request, 1, 1);
  grpc::ClientContext context;
  v1::SegmentOnceResponse response;
  EXPECT_EQ(stub_->SegmentOnce(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(RpcTest, AnAddressThatIsTakenIsAnError) {
  Start();
  RpcServerOptions options;
  options.listen = server_->address();
  const auto second = RpcServer::Start(options, *engine_, metrics_, clock_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  options.listen = "nonsense";
  EXPECT_EQ(RpcServer::Start(options, *engine_, metrics_, clock_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace semsam
