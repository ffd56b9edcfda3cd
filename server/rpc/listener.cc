#include "server/rpc/listener.h"

#include <grpc/health/v1/health.pb.h>
#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace semsam {
namespace {

constexpr char kChannelzPlugin[] = "channelz_service";

// Takes what this port is not to serve out of what the process has switched on; linking
// reflection alone does that.
class KeepBuiltIns final : public grpc::ServerBuilderOption {
 public:
  explicit KeepBuiltIns(const BuiltIns& keep) : keep_(keep) {}

  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [this](const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
      using Reflection = grpc::reflection::ProtoServerReflectionPlugin;
      if (dynamic_cast<const Reflection*>(plugin.get()) != nullptr) return !keep_.reflection;
      return plugin->name() == kChannelzPlugin && !keep_.channelz;
    });
  }

 private:
  const BuiltIns keep_;
};

}  // namespace

void EnableBuiltIns(const BuiltIns& built_ins) {
  if (built_ins.reflection) {
    // Links the description of that service in, for reflection to find.
    grpc::health::v1::HealthCheckRequest::descriptor();
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  }
  if (built_ins.channelz) grpc::channelz::experimental::InitChannelzService();
}

absl::StatusOr<Listener> Listen(grpc::ServerBuilder& builder, const std::string& listen,
                                const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                const BuiltIns& built_ins) {
  grpc::EnableDefaultHealthCheckService(true);
  // Two servers on one port would share its clients by chance.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetOption(std::make_unique<KeepBuiltIns>(built_ins));
  Listener listener;
  builder.AddListeningPort(listen, credentials, &listener.port);
  listener.server = builder.BuildAndStart();
  const bool is_unix = absl::StartsWith(listen, "unix:");
  if (listener.server == nullptr || (!is_unix && listener.port <= 0)) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen));
  }
  if (is_unix) {
    listener.port = 0;
    listener.address = listen;
  } else {
    listener.address = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", listener.port);
  }
  return listener;
}

}  // namespace semsam
