// A server on a loopback port over fakes, and a client of generated stubs.
#ifndef SEMSAM_TESTS_SERVER_RPC_RPC_FIXTURE_H_
#define SEMSAM_TESTS_SERVER_RPC_RPC_FIXTURE_H_

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/base/mutex.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/ticker.h"
#include "server/rpc/rpc_server.h"
#include "tests/fakes/fake_image_stages.h"
#include "tests/fakes/fake_segmenter.h"
#include "tests/fakes/metric_value.h"
#include "tests/fakes/model_gate.h"

namespace semsam {

// The parts of a status that a client reads.
struct Failure {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason;
  std::string domain;
  std::string field;
  std::string sha256;
  bool has_retry_delay = false;
};

inline Failure ReadFailure(const grpc::Status& status) {
  Failure failure{.code = status.error_code()};
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  for (const google::protobuf::Any& any : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&info)) {
      failure.reason = info.reason();
      failure.domain = info.domain();
      const auto digest = info.metadata().find("sha256");
      if (digest != info.metadata().end()) failure.sha256 = digest->second;
    } else if (any.UnpackTo(&bad_request) && bad_request.field_violations_size() > 0) {
      failure.field = bad_request.field_violations(0).field();
    } else if (any.UnpackTo(&retry)) {
      failure.has_retry_delay = true;
    }
  }
  return failure;
}

// What a segment stream brought.
struct StreamLog {
  std::vector<v1::Progress> progress;
  std::vector<v1::Mask> masks;
  v1::SegmentSummary summary;
  grpc::Status status;
};

class RpcFixture : public ::testing::Test {
 protected:
  using Stub = v1::SegmentationService::Stub;

  // Builds and starts everything; call it once, after the options are set.
  void Start() {
    fake_options_.config.short_edge_px = 256;
    fake_options_.on_encode = encodes_.Hook();
    fake_options_.on_decode = decodes_.Hook();
    fake_options_.on_text = texts_.Hook();
    segmenter_ = std::make_unique<FakeSegmenter>(fake_options_);
    stages_ = std::make_unique<FakeImageStages>(fake_options_.config, nullptr, mask_bytes_);
    auto engine = Engine::Create(options_, {segmenter_.get()}, *stages_, clock_, metrics_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    ticker_ = std::make_unique<Ticker>(absl::Milliseconds(20), [this] {
      engine_->Tick();
      MutexLock lock(tick_mutex_);
      ticked_.NotifyAll();
    });
    rpc_options_.listen = "127.0.0.1:0";
    rpc_options_.version = "1.2.3";
    auto server = RpcServer::Start(rpc_options_, *engine_, metrics_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    // Small buffers on the way: a client that does not read is felt soon.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 16);
    channel_ = grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(),
                                         arguments);
    stub_ = v1::SegmentationService::NewStub(channel_);
  }

  void TearDown() override {
    encodes_.Open();
    decodes_.Open();
    texts_.Open();
    if (server_ != nullptr) {
      EXPECT_TRUE(server_->Drain(absl::Seconds(20)).ok()) << "no call may be left behind";
      EXPECT_EQ(segmenter_->overlapping_calls(), 0);
    }
    if (engine_ != nullptr) engine_->Shutdown();
  }

  // Waits until a series stands at `value`, looking once a tick; a test that waits
  // for what never comes runs into the time limit of ctest.
  void WaitForMetric(const std::string& series, const std::string& value) {
    MutexLock lock(tick_mutex_);
    while (MetricValue(metrics_, series) != value) ticked_.Wait(tick_mutex_);
  }

  std::string NewSession() {
    grpc::ClientContext context;
    v1::CreateSessionResponse response;
    const grpc::Status status = stub_->CreateSession(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.session().session_id();
  }

  static v1::UploadImageRequest Header(const std::string& session, uint64_t total_bytes = 0,
                                       const std::string& sha256 = "") {
    v1::UploadImageRequest message;
    message.mutable_header()->set_session_id(session);
    message.mutable_header()->set_total_bytes(total_bytes);
    message.mutable_header()->set_sha256(sha256);
    return message;
  }
  static v1::UploadImageRequest Chunk(const std::string& bytes) {
    v1::UploadImageRequest message;
    message.set_chunk(bytes);
    return message;
  }

  // Sends exactly these messages.
  grpc::Status Upload(const std::vector<v1::UploadImageRequest>& messages,
                      v1::UploadImageResponse* response = nullptr) {
    grpc::ClientContext context;
    v1::UploadImageResponse ignored;
    auto writer = stub_->UploadImage(&context, response != nullptr ? response : &ignored);
    for (const v1::UploadImageRequest& message : messages) {
      if (!writer->Write(message)) break;  // refused already
    }
    writer->WritesDone();
    return writer->Finish();
  }

  // A click on an image of a new session.
  v1::SegmentRequest ClickOnNewImage(const std::string& seed = "") {
    v1::SegmentRequest request;
    request.set_session_id(NewSession());
    v1::UploadImageResponse response;
    const grpc::Status status =
        Upload({Header(request.session_id()), Chunk(FakeImageBytes(80, 64, seed))}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    request.set_image_id(response.image().image_id());
    AddClick(request, 40, 32);
    return request;
  }

  template <typename Request>
  static v1::Prompt& AddClick(Request& request, float x, float y) {
    v1::Prompt& prompt = *request.add_prompts();
    prompt.mutable_click()->set_x(x);
    prompt.mutable_click()->set_y(y);
    return prompt;
  }

  StreamLog Segment(const v1::SegmentRequest& request) {
    grpc::ClientContext context;
    return Segment(request, context);
  }

  StreamLog Segment(const v1::SegmentRequest& request, grpc::ClientContext& context) {
    StreamLog log;
    auto reader = stub_->Segment(&context, request);
    v1::SegmentResponse response;
    while (reader->Read(&response)) {
      if (response.has_mask()) {
        log.masks.push_back(response.mask());
      } else if (response.has_progress()) {
        log.progress.push_back(response.progress());
      } else {
        log.summary = response.summary();
      }
    }
    log.status = reader->Finish();
    return log;
  }

  EngineOptions options_;
  RpcServerOptions rpc_options_;
  FakeSegmenterOptions fake_options_;
  size_t mask_bytes_ = 0;

  RealClock clock_;
  Metrics metrics_{MetricsInfo{}};
  ModelGate encodes_;
  ModelGate decodes_;
  ModelGate texts_;
  std::unique_ptr<FakeSegmenter> segmenter_;
  std::unique_ptr<FakeImageStages> stages_;
  std::unique_ptr<Engine> engine_;
  Mutex tick_mutex_;
  CondVar ticked_;
  std::unique_ptr<Ticker> ticker_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_RPC_RPC_FIXTURE_H_
