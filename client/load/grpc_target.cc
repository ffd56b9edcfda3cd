#include "client/load/grpc_target.h"

#include <algorithm>
#include <optional>
#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/call_context.h"
#include "client/channel.h"
#include "client/status_details.h"
#include "grpcpp/support/client_callback.h"

namespace semsam::load {
namespace {

using client::CallContext;
using Stub = v1::SegmentationService::Stub;

constexpr int kMaxConnections = 1024;
constexpr int kMaxPointsPerSide = 1024;

// What every call has. Keeps itself until it has ended.
class GrpcCall : public LoadCall {
 public:
  GrpcCall(const client::ClientOptions& options, absl::Duration timeout, const Clock& clock,
           LoadTarget::Done done)
      : clock_(clock),
        done_(std::move(done)),
        context_(std::in_place, options, client::CallOptions{.stop = stop_.get_token()}, timeout) {}

  void Cancel() override { stop_.request_stop(); }

  void KeepUntilEnd(std::shared_ptr<GrpcCall> self) { self_ = std::move(self); }

 protected:
  void End(absl::Status status) {
    answer_.status = std::move(status);
    answer_.end = clock_.Now();
    // Dies with this scope, unless whoever started the call still has it.
    const std::shared_ptr<GrpcCall> self = std::move(self_);
    // The context holds the channel, and a channel must not die on the thread of gRPC
    // that we are on, which would wait for itself: once `done_` has run, the target may
    // be gone.
    context_.reset();
    done_(std::move(answer_));
  }

  const Clock& clock_;
  CallAnswer answer_;

 private:
  const LoadTarget::Done done_;
  std::shared_ptr<GrpcCall> self_;
  std::stop_source stop_;

 protected:
  std::optional<CallContext> context_;  // until the end
};

class CreateCall final : public GrpcCall {
 public:
  using GrpcCall::GrpcCall;

  void Start(Stub& stub) {
    stub.async()->CreateSession(context_->get(), &request_, &response_,
                                [this](const grpc::Status& status) {
                                  answer_.id = response_.session().session_id();
                                  End(client::FromGrpcStatus(status));
                                });
  }

 private:
  v1::CreateSessionRequest request_;
  v1::CreateSessionResponse response_;
};

class DeleteCall final : public GrpcCall {
 public:
  using GrpcCall::GrpcCall;

  void Start(Stub& stub, const std::string& session_id) {
    request_.set_session_id(session_id);
    stub.async()->DeleteSession(
        context_->get(), &request_, &response_,
        [this](const grpc::Status& status) { End(client::FromGrpcStatus(status)); });
  }

 private:
  v1::DeleteSessionRequest request_;
  v1::DeleteSessionResponse response_;
};

class UploadCall final : public GrpcCall, public grpc::ClientWriteReactor<v1::UploadImageRequest> {
 public:
  using GrpcCall::GrpcCall;

  void Start(Stub& stub, const CallRequest& request, size_t chunk_bytes) {
    picture_ = request.picture;
    chunk_bytes_ = chunk_bytes;
    message_.mutable_header()->set_session_id(request.session_id);
    message_.mutable_header()->set_total_bytes(picture_->size());
    stub.async()->UploadImage(context_->get(), &response_, this);
    StartWrite(&message_);
    StartCall();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return;  // the server has answered already
    if (sent_ == picture_->size()) return StartWritesDone();
    const size_t size = std::min(chunk_bytes_, picture_->size() - sent_);
    message_.set_chunk(picture_->data() + sent_, size);
    sent_ += size;
    StartWrite(&message_);
  }

  void OnDone(const grpc::Status& status) override {
    answer_.id = response_.image().image_id();
    End(client::FromGrpcStatus(status));
  }

 private:
  std::shared_ptr<const std::string> picture_;
  size_t chunk_bytes_ = 0;
  size_t sent_ = 0;
  v1::UploadImageRequest message_;
  v1::UploadImageResponse response_;
};

// Segment and GenerateMasks: masks, then a summary that counts them.
template <typename Request, typename Response>
class MaskCall final : public GrpcCall, public grpc::ClientReadReactor<Response> {
 public:
  using GrpcCall::GrpcCall;

  // To be filled before Begin.
  Request& request() { return request_; }
  CallContext& context() { return *context_; }

  // After the stub has been told of this reactor.
  void Begin(bool stall) {
    stall_ = stall;
    this->StartRead(&response_);
    this->StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (response_.has_mask()) {
      if (!answer_.first_result.has_value()) answer_.first_result = clock_.Now();
      ++masks_;
    } else if (response_.has_summary()) {
      has_summary_ = true;
      announced_ = response_.summary().masks_sent();
    }
    // Whoever stalls leaves the rest to the buffers on the way and to the server.
    if (!stall_) this->StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    if (status.ok() && !(has_summary_ && announced_ == masks_)) {
      return End(absl::DataLossError(
          absl::StrCat("the stream ended after ", masks_, " masks, ",
                       has_summary_ ? "its summary counts others" : "without a summary")));
    }
    End(client::FromGrpcStatus(status));
  }

 private:
  Request request_;
  Response response_;
  bool stall_ = false;
  bool has_summary_ = false;
  uint32_t masks_ = 0;
  uint32_t announced_ = 0;
};
using SegmentCall = MaskCall<v1::SegmentRequest, v1::SegmentResponse>;
using GenerateCall = MaskCall<v1::GenerateMasksRequest, v1::GenerateMasksResponse>;

template <typename Call>
std::shared_ptr<Call> NewCall(const client::ClientOptions& options, absl::Duration timeout,
                              const Clock& clock, LoadTarget::Done done) {
  auto call = std::make_shared<Call>(options, timeout, clock, std::move(done));
  call->KeepUntilEnd(call);
  return call;
}

void FillRequest(const CallRequest& from, const GrpcTargetOptions& options,
                 v1::SegmentRequest& request) {
  request.set_session_id(from.session_id);
  request.set_image_id(from.image_id);
  v1::Prompt& prompt = *request.add_prompts();
  prompt.set_frame(v1::COORDINATE_FRAME_NORMALIZED);
  prompt.mutable_click()->set_x(from.x);
  prompt.mutable_click()->set_y(from.y);
  for (const int level : options.levels) request.mutable_options()->add_levels(level);
}

}  // namespace

absl::Status GrpcTargetOptions::Validate() const {
  if (connections < 1 || connections > kMaxConnections) {
    return client::InvalidField("connections",
                                absl::StrCat("must lie in [1, ", kMaxConnections, "]"));
  }
  if (points_per_side < 0 || points_per_side > kMaxPointsPerSide) {
    return client::InvalidField("points_per_side",
                                absl::StrCat("must lie in [0, ", kMaxPointsPerSide, "]"));
  }
  if (std::any_of(levels.begin(), levels.end(), [](int level) { return level < 1; })) {
    return client::InvalidField("levels", "must be 1 or more");
  }
  return server.Validate();
}

absl::StatusOr<std::unique_ptr<GrpcTarget>> GrpcTarget::Create(GrpcTargetOptions options,
                                                               const Clock& clock) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  std::unique_ptr<GrpcTarget> target(new GrpcTarget(std::move(options), clock));
  for (int i = 0; i < target->options_.connections; ++i) {
    auto channel = client::OpenChannel(target->options_.server, /*own_connection=*/true);
    if (!channel.ok()) return channel.status();
    target->stubs_.push_back(v1::SegmentationService::NewStub(*channel));
  }
  return target;
}

std::shared_ptr<LoadCall> GrpcTarget::Start(const CallRequest& request, Done done) {
  Stub& stub = *stubs_[request.session % stubs_.size()];
  const client::ClientOptions& server = options_.server;
  switch (request.kind) {
    case CallKind::kCreate: {
      auto call = NewCall<CreateCall>(server, server.default_timeout, clock_, std::move(done));
      call->Start(stub);
      return call;
    }
    case CallKind::kUpload: {
      auto call =
          NewCall<UploadCall>(server, server.default_upload_timeout, clock_, std::move(done));
      call->Start(stub, request, server.chunk_bytes);
      return call;
    }
    case CallKind::kEverything: {
      auto call =
          NewCall<GenerateCall>(server, server.default_long_timeout, clock_, std::move(done));
      call->request().set_session_id(request.session_id);
      call->request().set_image_id(request.image_id);
      call->request().mutable_options()->set_points_per_side(options_.points_per_side);
      stub.async()->GenerateMasks(call->context().get(), &call->request(), call.get());
      call->Begin(/*stall=*/false);
      return call;
    }
    case CallKind::kDelete: {
      auto call = NewCall<DeleteCall>(server, server.default_timeout, clock_, std::move(done));
      call->Start(stub, request.session_id);
      return call;
    }
    case CallKind::kClick:
    case CallKind::kCancelledClick:
    case CallKind::kStalledClick:
      break;
  }
  auto call = NewCall<SegmentCall>(server, server.default_timeout, clock_, std::move(done));
  FillRequest(request, options_, call->request());
  stub.async()->Segment(call->context().get(), &call->request(), call.get());
  call->Begin(request.kind == CallKind::kStalledClick);
  return call;
}

}  // namespace semsam::load
