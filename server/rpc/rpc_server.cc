#include "server/rpc/rpc_server.h"

#include <grpc/health/v1/health.pb.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"
#include "server/rpc/background_handlers.h"
#include "server/rpc/call_scope.h"
#include "server/rpc/segment_handlers.h"
#include "server/rpc/session_handlers.h"
#include "server/rpc/upload_handler.h"
#include "server/rpc/wire.h"

namespace semsam {
namespace {

constexpr int64_t kHardMaxMessageBytes = int64_t{16} << 20;
constexpr char kUnixPrefix[] = "unix:";
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
                                        Base::Service>>>>>>>>>>>>>;

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
    if (status.ok()) answer = SerializeMessage(response);
    UnaryReactor* reactor = context.DefaultReactor();
    reactor->Finish(scope.End(status));
    return reactor;
  }

  const RpcParts& parts_;
};

class GrpcServer final : public RpcServer {
 public:
  GrpcServer(const RpcServerOptions& options, Engine& engine, Metrics& metrics, const Clock& clock)
      : calls_(clock),
        parts_{.engine = engine,
               .metrics = metrics,
               .clock = clock,
               .calls = calls_,
               .version = options.version,
               .max_message_bytes = options.max_message_bytes,
               .trust_tenant_metadata = options.auth.trust_tenant_metadata},
        service_(parts_) {}

  ~GrpcServer() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen(const RpcServerOptions& options) {
    grpc::EnableDefaultHealthCheckService(true);
    // Links the description of that service in, for reflection to find.
    grpc::health::v1::HealthCheckRequest::descriptor();
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
    // Two servers on one port would share its clients by chance.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                               static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_time)));
    builder.AddChannelArgument(
        GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
        static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_timeout)));
    server_ = builder.BuildAndStart();
    const bool is_unix = absl::StartsWith(options.listen, kUnixPrefix);
    if (server_ == nullptr || (!is_unix && port_ <= 0)) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen));
    }
    if (is_unix) {
      port_ = 0;
      address_ = options.listen;
    } else {
      address_ = absl::StrCat(options.listen.substr(0, options.listen.rfind(':')), ":", port_);
    }
    SetServing(true);
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }
  int port() const override { return port_; }

  absl::Status Drain(absl::Duration grace) override {
    SetServing(false);
    parts_.engine.StartDrain();
    // Calls first, on connections that stay: who comes now is told to go elsewhere,
    // and is not waited for. In this order: what the engine still took is of the
    // generation that is.
    calls_.OpenGeneration();
    const bool idle = calls_.WaitForEarlier(grace);
    server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(kCancelGrace));
    if (idle) return absl::OkStatus();
    return absl::DeadlineExceededError("calls were still running at the end of the grace period");
  }

 private:
  void SetServing(bool serving) {
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    health->SetServingStatus(serving);
    health->SetServingStatus(v1::SegmentationService::service_full_name(), serving);
    parts_.metrics.SetReady(serving);
  }

  CallCounter calls_;
  const RpcParts parts_;
  Service service_;
  int port_ = 0;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::Status RpcServerOptions::Validate() const {
  const bool is_unix = absl::StartsWith(listen, kUnixPrefix);
  if (!is_unix && listen.rfind(':') == std::string::npos) {
    return InvalidField("listen", "must be HOST:PORT or unix:PATH");
  }
  if (max_message_bytes <= 0 || max_message_bytes > kHardMaxMessageBytes) {
    return InvalidField("max_message_bytes",
                        absl::StrCat("must be between 1 and ", kHardMaxMessageBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options,
                                                            Engine& engine, Metrics& metrics,
                                                            const Clock& clock) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  auto server = std::make_unique<GrpcServer>(options, engine, metrics, clock);
  SEMSAM_RETURN_IF_ERROR(server->Listen(options));
  return server;
}

}  // namespace semsam
