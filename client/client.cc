#include "client/client.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/call_context.h"
#include "client/channel.h"
#include "client/convert.h"
#include "client/convert_scene.h"
#include "client/health_check.h"
#include "client/interact_stream.h"
#include "client/remaining_time.h"
#include "client/retry.h"
#include "client/session_calls.h"
#include "client/status_details.h"
#include "client/stream_calls.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam::client {
namespace {

constexpr char kImageNotFoundReason[] = "IMAGE_NOT_FOUND";

// Whether the server says that an image is to be uploaded.
bool IsImageNotFound(const absl::Status& status) {
  return absl::IsNotFound(status) && ErrorReason(status) == kImageNotFoundReason;
}

}  // namespace

class Client::Impl {
 public:
  using Stub = v1::SegmentationService::Stub;

  Impl(ClientOptions options, std::shared_ptr<grpc::Channel> channel)
      : options_(std::move(options)),
        channel_(std::move(channel)),
        stub_(v1::SegmentationService::NewStub(channel_)),
        chunk_bytes_(options_.chunk_bytes) {}

  absl::StatusOr<ServerInfo> GetServerInfo(const CallOptions& call, bool wait_for_ready);
  absl::StatusOr<HealthStatus> CheckHealth(const CallOptions& call);
  absl::StatusOr<UploadResult> UploadImage(const std::string& session_id,
                                           std::string_view image_bytes,
                                           const UploadProgress& progress, const CallOptions& call);
  // Sends the bytes, once.
  absl::StatusOr<UploadResult> SendImage(const std::string& session_id,
                                         std::string_view image_bytes, const std::string& sha256,
                                         const UploadProgress& progress, const CallOptions& call);
  absl::StatusOr<SegmentOnceResult> SegmentOnce(const SegmentOnceRequest& request,
                                                const CallOptions& call);
  absl::StatusOr<RefreshLabelsResult> RefreshLabels(const RefreshLabelsRequest& request,
                                                    const CallOptions& call);

  // Makes a call on an image, `attempt(stub, message, context, delivered)`. Where
  // the server lost the image before the first result and `recovery_image` has
  // its bytes, uploads it and makes the call once more.
  template <typename Request, typename Attempt>
  auto CallOnImage(Request& message, const std::shared_ptr<const std::string>& recovery_image,
                   absl::Duration default_timeout, const CallOptions& call, const Attempt& attempt)
      -> std::invoke_result_t<Attempt, Stub&, const Request&, CallContext&, int&>;

  const ClientOptions& options() const { return options_; }
  Stub& stub() const { return *stub_; }

 private:
  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Stub> stub_;
  std::atomic<size_t> chunk_bytes_;          // the smaller of the option and the server's limit
  std::atomic<bool> server_attaches_{true};  // it is not too old for that
};

absl::StatusOr<ServerInfo> Client::Impl::GetServerInfo(const CallOptions& call,
                                                       bool wait_for_ready) {
  CallContext context(options_, call, options_.default_timeout);
  context->set_wait_for_ready(wait_for_ready);
  v1::GetServerInfoResponse response;
  const grpc::Status status = stub_->GetServerInfo(context.get(), {}, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  ServerInfo info = FromProto(response);
  if (info.limits.max_chunk_bytes > 0) {
    chunk_bytes_ = std::min<size_t>(options_.chunk_bytes, info.limits.max_chunk_bytes);
  }
  return info;
}

absl::StatusOr<HealthStatus> Client::Impl::CheckHealth(const CallOptions& call) {
  CallContext context(options_, call, options_.default_timeout);
  return CheckHealthOf(channel_, *context.get(), v1::SegmentationService::service_full_name());
}

absl::StatusOr<UploadResult> Client::Impl::UploadImage(const std::string& session_id,
                                                       std::string_view image_bytes,
                                                       const UploadProgress& progress,
                                                       const CallOptions& call) {
  CallOptions whole = call;
  if (whole.timeout <= absl::ZeroDuration()) whole.timeout = options_.default_upload_timeout;
  const RemainingTime time(whole);
  const std::string sha256 = Sha256Hex(image_bytes);
  if (options_.attach_images && server_attaches_ && image_bytes.size() > chunk_bytes_) {
    CallContext context(options_, time.Left(), options_.default_upload_timeout);
    auto attached = CallAttachImage(*stub_, session_id, sha256, context);
    if (attached.ok()) return attached;
    if (absl::IsUnimplemented(attached.status())) {
      server_attaches_ = false;
    } else if (!IsImageNotFound(attached.status())) {
      return attached.status();
    }
  }

  return WithRetries(options_.retry, time.Left(), [&](const CallOptions& attempt) {
    return SendImage(session_id, image_bytes, sha256, progress, attempt);
  });
}

absl::StatusOr<UploadResult> Client::Impl::SendImage(const std::string& session_id,
                                                     std::string_view image_bytes,
                                                     const std::string& sha256,
                                                     const UploadProgress& progress,
                                                     const CallOptions& call) {
  CallContext context(options_, call, options_.default_upload_timeout);
  v1::UploadImageResponse response;
  const auto writer = stub_->UploadImage(context.get(), &response);

  v1::UploadImageRequest message;
  message.mutable_header()->set_session_id(session_id);
  message.mutable_header()->set_total_bytes(image_bytes.size());
  message.mutable_header()->set_sha256(sha256);
  bool open = writer->Write(message);

  // A failed write means that the server has answered already; Finish has it.
  const size_t chunk_bytes = chunk_bytes_;
  for (size_t sent = 0; open && sent < image_bytes.size();) {
    const size_t size = std::min(chunk_bytes, image_bytes.size() - sent);
    message.set_chunk(image_bytes.data() + sent, size);
    open = writer->Write(message);
    sent += size;
    if (open && progress) progress(sent, image_bytes.size());
  }
  if (open) writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return FromGrpcStatus(status);

  auto image = FromProto(response.image());
  if (!image.ok()) return image.status();
  return UploadResult{.image = *std::move(image),
                      .cached = response.cached(),
                      .timings = FromProto(response.timings())};
}

template <typename Request, typename Attempt>
auto Client::Impl::CallOnImage(Request& message,
                               const std::shared_ptr<const std::string>& recovery_image,
                               absl::Duration default_timeout, const CallOptions& call,
                               const Attempt& attempt)
    -> std::invoke_result_t<Attempt, Stub&, const Request&, CallContext&, int&> {
  const RemainingTime time(call);
  int delivered = 0;
  const auto try_once = [&] {
    CallContext context(options_, time.Left(), default_timeout);
    return attempt(*stub_, message, context, delivered);
  };
  auto result = try_once();
  if (result.ok() || !IsImageNotFound(result.status()) || delivered > 0 ||
      recovery_image == nullptr) {
    return result;
  }

  // The server names the image it lost; other bytes would give other masks.
  const std::optional<std::string> digest = ErrorImageDigest(result.status());
  if (digest.has_value() && *digest != Sha256Hex(*recovery_image)) {
    return Annotate(result.status(), "recovery_image is a different image");
  }
  const auto upload = UploadImage(message.session_id(), *recovery_image, nullptr, time.Left());
  if (!upload.ok()) return Annotate(upload.status(), "while uploading the lost image again");
  message.set_image_id(upload->image.image_id);
  result = try_once();
  if (result.ok()) result->recovered_image_id = upload->image.image_id;
  return result;
}

absl::StatusOr<SegmentOnceResult> Client::Impl::SegmentOnce(const SegmentOnceRequest& request,
                                                            const CallOptions& call) {
  v1::SegmentOnceRequest message;
  if (absl::Status status = ToProto(request.prompts, request.options, message); !status.ok()) {
    return status;
  }
  if (const auto* reference = std::get_if<SegmentOnceRequest::Reference>(&request.image)) {
    message.mutable_reference()->set_session_id(reference->session_id);
    message.mutable_reference()->set_image_id(reference->image_id);
  } else if (const auto* bytes = std::get_if<std::string>(&request.image)) {
    message.set_image_bytes(*bytes);
  }
  if (absl::Status status = ToProto(request.labels, message); !status.ok()) return status;
  CallContext context(
      options_, call,
      request.labels.empty() ? options_.default_upload_timeout : options_.default_long_timeout);
  v1::SegmentOnceResponse response;
  const grpc::Status status = stub_->SegmentOnce(context.get(), message, &response);
  if (!status.ok()) return FromGrpcStatus(status);

  SegmentOnceResult result;
  for (const v1::Mask& mask : response.masks()) {
    auto converted = FromProto(mask, message.labels());
    if (!converted.ok()) return converted.status();
    result.masks.push_back(*std::move(converted));
  }
  auto summary = FromProto(response.summary());
  if (!summary.ok()) return summary.status();
  result.summary = *std::move(summary);
  return result;
}

absl::StatusOr<RefreshLabelsResult> Client::Impl::RefreshLabels(const RefreshLabelsRequest& request,
                                                                const CallOptions& call) {
  const auto message = ToProto(request);
  if (!message.ok()) return message.status();
  CallContext context(options_, call, options_.default_long_timeout);
  v1::RefreshLabelsResponse response;
  const grpc::Status status = stub_->RefreshLabels(context.get(), *message, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return FromProto(response, *message);
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options) {
  if (absl::Status status = options.Validate(); !status.ok()) return status;
  auto channel = OpenChannel(options);
  if (!channel.ok()) return channel.status();
  const std::string target = options.target;
  const CallOptions call{.timeout = options.connect_timeout};
  const bool wait = options.wait_for_server;
  std::unique_ptr<Client> client(
      new Client(std::make_unique<Impl>(std::move(options), *std::move(channel))));
  if (call.timeout == absl::ZeroDuration()) return client;

  const auto info = client->impl_->GetServerInfo(call, wait);
  if (info.ok()) return client;
  if (absl::IsUnimplemented(info.status())) {
    return absl::UnimplementedError(absl::StrCat(target, " speaks gRPC, but is no Semsam server"));
  }
  return Annotate(info.status(), absl::StrCat("cannot reach ", target));
}

absl::StatusOr<ServerInfo> Client::GetServerInfo(const CallOptions& call) {
  return impl_->GetServerInfo(call, /*wait_for_ready=*/false);
}

absl::StatusOr<HealthStatus> Client::CheckHealth(const CallOptions& call) {
  return impl_->CheckHealth(call);
}

absl::StatusOr<Session> Client::CreateSession(absl::Duration ttl, const CallOptions& call) {
  CallContext context(impl_->options(), call, impl_->options().default_timeout);
  return CallCreateSession(impl_->stub(), ttl, context);
}

absl::StatusOr<Session> Client::GetSession(const std::string& session_id, const CallOptions& call) {
  CallContext context(impl_->options(), call, impl_->options().default_timeout);
  return CallGetSession(impl_->stub(), session_id, context);
}

absl::StatusOr<Session> Client::RenewSession(const std::string& session_id, absl::Duration ttl,
                                             const CallOptions& call) {
  CallContext context(impl_->options(), call, impl_->options().default_timeout);
  return CallRenewSession(impl_->stub(), session_id, ttl, context);
}

absl::StatusOr<SessionPage> Client::ListSessions(const ListSessionsRequest& request,
                                                 const CallOptions& call) {
  CallContext context(impl_->options(), call, impl_->options().default_timeout);
  return CallListSessions(impl_->stub(), request, context);
}

absl::Status Client::DeleteSession(const std::string& session_id, const CallOptions& call) {
  CallContext context(impl_->options(), call, impl_->options().default_timeout);
  return CallDeleteSession(impl_->stub(), session_id, context);
}

absl::StatusOr<UploadResult> Client::AttachImage(const std::string& session_id,
                                                 const std::string& sha256,
                                                 const CallOptions& call) {
  CallContext context(impl_->options(), call, impl_->options().default_upload_timeout);
  return CallAttachImage(impl_->stub(), session_id, sha256, context);
}

absl::StatusOr<UploadResult> Client::UploadImage(const std::string& session_id,
                                                 std::string_view image_bytes,
                                                 const UploadProgress& progress,
                                                 const CallOptions& call) {
  return impl_->UploadImage(session_id, image_bytes, progress, call);
}

absl::StatusOr<SegmentSummary> Client::Segment(const SegmentRequest& request,
                                               const MaskCallback& on_mask,
                                               const CallOptions& call) {
  if (!on_mask) return InvalidField("on_mask", "must be set");
  v1::SegmentRequest message;
  if (absl::Status status = ToProto(request.prompts, request.options, message); !status.ok()) {
    return status;
  }
  if (absl::Status status = ToProto(request.labels, message); !status.ok()) return status;
  message.set_session_id(request.session_id);
  message.set_image_id(request.image_id);
  const ClientOptions& options = impl_->options();
  return impl_->CallOnImage(
      message, request.recovery_image,
      request.labels.empty() ? options.default_timeout : options.default_long_timeout, call,
      [&](auto& stub, const auto& sent, CallContext& context, int& delivered) {
        return ReadSegmentStream(stub, sent, on_mask, call.on_progress, context, delivered);
      });
}

absl::StatusOr<std::unique_ptr<InteractStream>> Client::Interact(const InteractStart& start,
                                                                 InteractEvents events,
                                                                 const CallOptions& call) {
  return OpenInteractStream(impl_->stub(), impl_->options(), start, std::move(events), call);
}

absl::StatusOr<RefreshLabelsResult> Client::RefreshLabels(const RefreshLabelsRequest& request,
                                                          const CallOptions& call) {
  return impl_->RefreshLabels(request, call);
}

absl::StatusOr<SegmentVocabularyResult> Client::SegmentVocabulary(
    const SegmentVocabularyRequest& request, const SegmentCallback& on_segment,
    const CallOptions& call) {
  auto message = ToProto(request);
  if (!message.ok()) return message.status();
  return impl_->CallOnImage(
      *message, request.recovery_image, impl_->options().default_long_timeout, call,
      [&](auto& stub, const auto& sent, CallContext& context, int& delivered) {
        return ReadVocabularyStream(stub, sent, on_segment, call.on_progress, context, delivered);
      });
}

absl::StatusOr<GenerateMasksResult> Client::GenerateMasks(const GenerateMasksRequest& request,
                                                          const MaskCallback& on_mask,
                                                          const CallOptions& call) {
  auto message = ToProto(request);
  if (!message.ok()) return message.status();
  return impl_->CallOnImage(
      *message, request.recovery_image, impl_->options().default_long_timeout, call,
      [&](auto& stub, const auto& sent, CallContext& context, int& delivered) {
        return ReadGenerateStream(stub, sent, on_mask, call.on_progress, context, delivered);
      });
}

absl::StatusOr<SegmentOnceResult> Client::SegmentOnce(const SegmentOnceRequest& request,
                                                      const CallOptions& call) {
  return impl_->SegmentOnce(request, call);
}

}  // namespace semsam::client
