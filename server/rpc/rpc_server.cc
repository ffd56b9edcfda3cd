#include "server/rpc/rpc_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"
#include "server/log/log.h"
#include "server/rpc/background_handlers.h"
#include "server/rpc/call_scope.h"
#include "server/rpc/credentials.h"
#include "server/rpc/interact_handler.h"
#include "server/rpc/listener.h"
#include "server/rpc/segment_handlers.h"
#include "server/rpc/session_handlers.h"
#include "server/rpc/upload_handler.h"
#include "server/rpc/wire.h"

namespace semsam {
namespace {

constexpr int64_t kHardMaxMessageBytes = int64_t{16} << 20;
// For calls that are cancelled to notice it.
constexpr absl::Duration kCancelGrace = absl::Seconds(1);

using Base = v1::SegmentationService;
// Requests come as bytes, see wire.h; an upload is no single message.
using RawService =
    Base::WithRawCallbackMethod_GetServerInfo<Base::WithRawCallbackMethod_CreateSession<
        Base::WithRawCallbackMethod_GetSession<Base::WithRawCallbackMethod_DeleteSession<
            Base::WithCallbackMethod_UploadImage<Base::WithRawCallbackMethod_Segment<
                Base::WithRawCallbackMethod_SegmentOnce<Base::WithRawCallbackMethod_RefreshLabels<
                    Base::WithRawCallbackMethod_SegmentVocabulary<
                        Base::WithRawCallbackMethod_GenerateMasks<
                            Base::WithRawCallbackMethod_RenewSession<
                                Base::WithRawCallbackMethod_ListSessions<
                                    Base::WithRawCallbackMethod_AttachImage<
                                        Base::WithRawCallbackMethod_Interact<
                                            Base::Service>>>>>>>>>>>>>>;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(duration), std::numeric_limits<int>::max()));
}

void LimitConnections(const ConnectionOptions& options, grpc::ServerBuilder& builder) {
  const std::pair<const char*, int> arguments[] = {
      {GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time)},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout)},
      // Pings are wanted while a click waits for the next: between calls as well.
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
       Milliseconds(options.min_ping_interval)},
      {GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(options.max_age)},
      {GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Milliseconds(options.max_age_grace)},
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams},
      {GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(options.max_metadata_bytes)},
  };
  for (const auto& [name, value] : arguments) builder.AddChannelArgument(name, value);
  grpc::ResourceQuota quota("semsam");
  quota.Resize(static_cast<size_t>(options.max_memory_bytes));
  builder.SetResourceQuota(quota);
}

// Forwards each method to its handler.
class Service final : public RawService {
 public:
  explicit Service(const RpcParts& parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  using Bytes = grpc::ByteBuffer;
  using UnaryReactor = grpc::ServerUnaryReactor;
  using WriteReactor = grpc::ServerWriteReactor<Bytes>;

  UnaryReactor* GetServerInfo(Context* context, const Bytes* request, Bytes* response) override {
    return Answer(Method::kGetServerInfo, *context, semsam::GetServerInfo, *request, *response);
  }
  UnaryReactor* CreateSession(Context* context, const Bytes* request, Bytes* response) override {
    return Answer(Method::kCreateSession, *context, semsam::CreateSession, *request, *response);
  }
  UnaryReactor* GetSession(Context* context, const Bytes* request, Bytes* response) override {
    return Answer(Method::kGetSession, *context, semsam::GetSession, *request, *response);
  }
  UnaryReactor* DeleteSession(Context* context, const Bytes* request, Bytes* response) override {
    return Answer(Method::kDeleteSession, *context, semsam::DeleteSession, *request, *response);
  }
  UnaryReactor* RenewSession(Context* context, const Bytes* request, Bytes* response) override {
    return Answer(Method::kRenewSession, *context, semsam::RenewSession, *request, *response);
  }
  UnaryReactor* ListSessions(Context* context, const Bytes* request, Bytes* response) override {
    return Answer(Method::kListSessions, *context, semsam::ListSessions, *request, *response);
  }
  UnaryReactor* AttachImage(Context* context, const Bytes* request, Bytes* response) override {
    return semsam::AttachImage(parts_, *context, *request, *response);
  }
  grpc::ServerReadReactor<v1::UploadImageRequest>* UploadImage(
      Context* context, v1::UploadImageResponse* response) override {
    return semsam::UploadImage(parts_, *context, *response);
  }
  WriteReactor* Segment(Context* context, const Bytes* request) override {
    return semsam::Segment(parts_, *context, *request);
  }
  UnaryReactor* SegmentOnce(Context* context, const Bytes* request, Bytes* response) override {
    return semsam::SegmentOnce(parts_, *context, *request, *response);
  }
  UnaryReactor* RefreshLabels(Context* context, const Bytes* request, Bytes* response) override {
    return semsam::RefreshLabels(parts_, *context, *request, *response);
  }
  WriteReactor* SegmentVocabulary(Context* context, const Bytes* request) override {
    return semsam::SegmentVocabulary(parts_, *context, *request);
  }
  WriteReactor* GenerateMasks(Context* context, const Bytes* request) override {
    return semsam::GenerateMasks(parts_, *context, *request);
  }
  grpc::ServerBidiReactor<Bytes, Bytes>* Interact(Context* context) override {
    return semsam::Interact(parts_, *context);
  }

 private:
  // For handlers that answer at once.
  template <typename Request, typename Response>
  UnaryReactor* Answer(Method method, Context& context,
                       absl::Status (*handler)(const CallScope&, const Request&, Response&),
                       const Bytes& bytes, Bytes& answer) {
    CallScope scope(parts_, method, context);
    Request request;
    Response response;
    absl::Status status = scope.Receive(bytes, request);
    if (status.ok()) status = handler(scope, request, response);
    if (status.ok()) {
      answer = SerializeMessage(response);
      scope.CountSent(static_cast<int64_t>(answer.Length()));
    }
    UnaryReactor* reactor = context.DefaultReactor();
    reactor->Finish(scope.End(status));
    return reactor;
  }

  const RpcParts& parts_;
};

class GrpcServer final : public RpcServer {
 public:
  GrpcServer(const RpcServerOptions& options, std::unique_ptr<Authenticator> authenticator,
             Engine& engine, Metrics& metrics, const Clock& clock)
      : options_(options),
        authenticator_(std::move(authenticator)),
        calls_(clock),
        parts_{.engine = engine,
               .metrics = metrics,
               .clock = clock,
               .calls = calls_,
               .authenticator = *authenticator_,
               .version = options.version,
               .max_message_bytes = options.max_message_bytes,
               .max_upload_pause = options.max_upload_pause,
               .min_ping_interval = options.connections.min_ping_interval},
        service_(parts_),
        readiness_(metrics) {}

  ~GrpcServer() override {
    if (listener_.server == nullptr) return;
    readiness_.Detach(*listener_.server->GetHealthCheckService());
    listener_.server->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen() {
    SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                            ListenCredentials(options_.tls));
    const BuiltIns built_ins = {.reflection = options_.reflection};
    EnableBuiltIns(built_ins);
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_message_bytes));
    builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, options_.channelz ? 1 : 0);
    LimitConnections(options_.connections, builder);
    SEMSAM_ASSIGN_OR_RETURN(listener_,
                            semsam::Listen(builder, options_.listen, credentials, built_ins));
    if (options_.start_ready) readiness_.WarmedUp();
    readiness_.Attach(*listener_.server->GetHealthCheckService());
    PublishExpiry();
    return absl::OkStatus();
  }

  const std::string& address() const override { return listener_.address; }
  int port() const override { return listener_.port; }
  Readiness& readiness() override { return readiness_; }

  void ReloadFiles() override {
    if (const absl::Status status = authenticator_->Reload(); !status.ok()) {
      ReportReload(Reloaded::kTokens, status);
    }
    PublishExpiry();
    // gRPC watches the same files and says nothing of what it finds. Once a change.
    const absl::Status status = CheckTlsFiles(options_.tls);
    if (!status.ok() && status != tls_status_) ReportReload(Reloaded::kCertificate, status);
    tls_status_ = status;
  }

  void StartLameDuck() override {
    readiness_.StartDrain();
    parts_.engine.RefuseSessions();
  }

  absl::Status Drain(absl::Duration grace) override {
    StartLameDuck();
    parts_.engine.StartDrain();
    // Calls first, on connections that stay: who comes now is told to go elsewhere,
    // and is not waited for. In this order: what the engine still took is of the
    // generation that is.
    calls_.OpenGeneration();
    const bool idle = calls_.WaitForEarlier(grace);
    listener_.server->Shutdown(std::chrono::system_clock::now() +
                               absl::ToChronoMilliseconds(kCancelGrace));
    if (idle) return absl::OkStatus();
    return absl::DeadlineExceededError("calls were still running at the end of the grace period");
  }

 private:
  void ReportReload(Reloaded what, const absl::Status& status) {
    parts_.metrics.RecordReloadFailure(what);
    const absl::string_view error = status.message();
    LogLine(LogLevel::kError, "reload").Text("error", {error.data(), error.size()});
  }

  void PublishExpiry() {
    if (!options_.tls.enabled()) return;
    const absl::StatusOr<absl::Time> expiry = CertificateExpiry(options_.tls);
    if (expiry.ok()) parts_.metrics.SetCertificateExpiry(*expiry);
  }

  const RpcServerOptions options_;
  const std::unique_ptr<Authenticator> authenticator_;
  CallCounter calls_;
  const RpcParts parts_;
  Service service_;
  Readiness readiness_;
  absl::Status tls_status_;  // of ReloadFiles
  Listener listener_;
};

}  // namespace

absl::Status RpcServerOptions::Validate() const {
  SEMSAM_RETURN_IF_ERROR(ValidateListen("listen", listen));
  SEMSAM_RETURN_IF_ERROR(tls.Validate());
  SEMSAM_RETURN_IF_ERROR(auth.Validate());
  SEMSAM_RETURN_IF_ERROR(connections.Validate());
  if (max_message_bytes <= 0 || max_message_bytes > kHardMaxMessageBytes) {
    return InvalidField("max_message_bytes",
                        absl::StrCat("must be between 1 and ", kHardMaxMessageBytes));
  }
  if (max_upload_pause <= absl::ZeroDuration()) {
    return InvalidField("max_upload_pause", "must be positive");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options,
                                                            Engine& engine, Metrics& metrics,
                                                            const Clock& clock) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<Authenticator> authenticator,
                          Authenticator::Create(options.auth));
  auto server =
      std::make_unique<GrpcServer>(options, std::move(authenticator), engine, metrics, clock);
  SEMSAM_RETURN_IF_ERROR(server->Listen());
  return server;
}

}  // namespace semsam
