#include "server/rpc/admin_server.h"

#include <chrono>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/rpc/edge_options.h"
#include "server/rpc/listener.h"

namespace semsam {
namespace {

class GrpcAdminServer final : public AdminServer {
 public:
  GrpcAdminServer(Listener listener, Readiness& readiness)
      : listener_(std::move(listener)),
        readiness_(readiness),
        health_(*listener_.server->GetHealthCheckService()) {
    readiness_.Attach(health_);
  }
  ~GrpcAdminServer() override {
    readiness_.Detach(health_);
    listener_.server->Shutdown(std::chrono::system_clock::now());
  }

  const std::string& address() const override { return listener_.address; }
  int port() const override { return listener_.port; }

 private:
  const Listener listener_;
  Readiness& readiness_;
  grpc::HealthCheckServiceInterface& health_;
};

}  // namespace

absl::Status AdminOptions::Validate() const {
  if (!listen.empty()) return ValidateListen("admin.listen", listen);
  if (channelz) return InvalidField("admin.channelz", "needs admin.listen: clients get none of it");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const AdminOptions& options,
                                                                Readiness& readiness) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  const BuiltIns built_ins = {.reflection = true, .channelz = options.channelz};
  EnableBuiltIns(built_ins);
  grpc::ServerBuilder builder;
  SEMSAM_ASSIGN_OR_RETURN(Listener listener, Listen(builder, options.listen,
                                                    grpc::InsecureServerCredentials(), built_ins));
  return std::make_unique<GrpcAdminServer>(std::move(listener), readiness);
}

}  // namespace semsam
