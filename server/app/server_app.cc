#include "server/app/server_app.h"

#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "server/app/exit_watchdog.h"
#include "server/app/tenants_file.h"

namespace semsam {
namespace {

// How late the end of what waits for nothing (a session, a paused call) may be
// noticed.
constexpr absl::Duration kTickInterval = absl::Milliseconds(500);

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Whoever reads the file finds all of it or nothing.
absl::Status WritePortFile(const std::string& path, int port) {
  const std::string part = path + ".part";
  std::ofstream file(part);
  file << port << "\n";
  file.close();
  if (!file || std::rename(part.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot write the port to ", path));
  }
  return absl::OkStatus();
}

absl::Status Serve(const ServerOptions& options, std::unique_ptr<Segmenter> segmenter) {
  const ModelInfo& model = segmenter->info();
  spdlog::info("model name={} digest={} device={} trained={}", model.config.name, model.digest,
               model.device, model.trained);
  if (!model.trained) spdlog::warn("the weights are untrained: masks mean nothing");
  std::optional<ExitWatchdog> watchdog;  // outlives the app, which may take long to end
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<ServerApp> app,
                          ServerApp::Start(options, std::move(segmenter)));
  if (app->metrics_port() != 0) spdlog::info("metrics port={}", app->metrics_port());
  std::cout << "listening on " << app->address() << std::endl;
  if (!options.port_file.empty()) {
    SEMSAM_RETURN_IF_ERROR(WritePortFile(options.port_file, app->port()));
  }

  sigset_t signals = StopSignals();
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("draining signal={} grace_s={}", signal, absl::ToDoubleSeconds(options.drain_grace));
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  watchdog.emplace(options.drain_grace + options.exit_margin);
  return app->Drain();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerApp>> ServerApp::Start(const ServerOptions& options,
                                                            std::unique_ptr<Segmenter> segmenter) {
  SEMSAM_RETURN_IF_ERROR(options.Validate(segmenter->info().config));
  std::unique_ptr<ServerApp> app(new ServerApp(options, std::move(segmenter)));
  EngineOptions engine = options.engine;
  if (!options.tenants_file.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(engine.tenants, ReadTenantsFile(options.tenants_file));
  }
  SEMSAM_ASSIGN_OR_RETURN(app->engine_, Engine::Create(engine, *app->segmenter_, *app->stages_,
                                                       app->clock_, app->metrics_));
  app->ticker_ =
      std::make_unique<Ticker>(kTickInterval, [engine = app->engine_.get()] { engine->Tick(); });
  if (!options.metrics_listen.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(app->exposer_,
                            MetricsExposer::Start(options.metrics_listen, app->metrics_));
  }
  RpcServerOptions rpc = options.rpc;
  rpc.version = SEMSAM_VERSION;
  SEMSAM_ASSIGN_OR_RETURN(app->rpc_,
                          RpcServer::Start(rpc, *app->engine_, app->metrics_, app->clock_));
  return app;
}

ServerApp::ServerApp(const ServerOptions& options, std::unique_ptr<Segmenter> segmenter)
    : options_(options),
      segmenter_(std::move(segmenter)),
      metrics_({.version = SEMSAM_VERSION,
                .model_name = segmenter_->info().config.name,
                .model_digest = segmenter_->info().digest,
                .device = segmenter_->info().device,
                .trained = segmenter_->info().trained}),
      stages_(CreateImageStages(segmenter_->info().config, options.engine.image)) {}

ServerApp::~ServerApp() = default;

absl::Status ServerApp::Drain() {
  absl::Status status = rpc_->Drain(options_.drain_grace);
  engine_->Shutdown();
  return status;
}

void BlockStopSignals() {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int RunServer(const ServerOptions& options, std::unique_ptr<Segmenter> segmenter) {
  // Standard output is for whoever started the program and waits for the address.
  spdlog::set_default_logger(spdlog::stderr_logger_mt("semsam"));
  const absl::Status status = Serve(options, std::move(segmenter));
  if (!status.ok()) {
    spdlog::error("stopped: {}", std::string(status.message()));
    return EXIT_FAILURE;
  }
  spdlog::info("stopped");
  return EXIT_SUCCESS;
}

}  // namespace semsam
