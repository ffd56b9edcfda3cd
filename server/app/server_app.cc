#include "server/app/server_app.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/app/exit_watchdog.h"
#include "server/app/tenants_file.h"
#include "server/app/warm_up.h"
#include "server/log/log.h"
#include "server/pipeline/model_pool.h"
#include "server/rpc/grpc_log.h"

namespace semsam {
namespace {

// How late the end of what waits for nothing (a session, a paused call) may be
// noticed.
constexpr absl::Duration kTickInterval = absl::Milliseconds(500);
// What the last lines of the log may take; their reader may have stopped reading.
constexpr absl::Duration kFlushLimit = absl::Seconds(1);
// How the program tells itself that the device is lost. Not one of those that stop it:
// a second one of them would end it at once.
constexpr int kFaultSignal = SIGUSR1;

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

void LogTierError(TierKind tier, const absl::Status& why) {
  const absl::string_view error = why.message();
  LogLine(LogLevel::kWarning, "cache_tier")
      .Text("tier", tier == TierKind::kHost ? "host" : "disk")
      .Text("error", {error.data(), error.size()});
}

std::vector<Segmenter*> Pointers(const Models& models) {
  std::vector<Segmenter*> pointers;
  for (const std::unique_ptr<Segmenter>& model : models) pointers.push_back(model.get());
  return pointers;
}

MetricsInfo MetricsInfoOf(const Models& models) {
  const ModelInfo& model = models.front()->info();
  return {.version = SEMSAM_VERSION,
          .model_name = model.config.name,
          .model_digest = model.digest,
          .device = DeviceNames(Pointers(models)),
          .trained = model.trained,
          .workers = static_cast<int>(models.size())};
}

absl::Status Serve(const ServerOptions& options, Models models) {
  SEMSAM_RETURN_IF_ERROR(CheckModels(Pointers(models)));
  const ModelInfo& model = models.front()->info();
  LogLine(LogLevel::kInfo, "model")
      .Text("name", model.config.name)
      .Text("digest", model.digest)
      .Text("device", DeviceNames(Pointers(models)));
  if (!model.trained) {
    LogLine(LogLevel::kWarning, "untrained").Text("meaning", "the masks mean nothing");
  }
  std::optional<ExitWatchdog> watchdog;  // outlives the app, which may take long to end
  SEMSAM_ASSIGN_OR_RETURN(
      const std::unique_ptr<ServerApp> app,
      ServerApp::Start(options, std::move(models), [] { (void)kill(getpid(), kFaultSignal); }));
  if (app->admin_port() != 0) {
    LogLine(LogLevel::kInfo, "admin").Number("port", int64_t{app->admin_port()});
  }
  if (app->metrics_port() != 0) {
    LogLine(LogLevel::kInfo, "metrics").Number("port", int64_t{app->metrics_port()});
  }
  std::cout << "listening on " << app->address() << std::endl;
  if (!options.port_file.empty()) {
    SEMSAM_RETURN_IF_ERROR(WritePortFile(options.port_file, app->port()));
  }

  sigset_t signals = StopSignals();
  sigset_t awaited = signals;
  sigaddset(&awaited, kFaultSignal);
  int signal = 0;
  sigwait(&awaited, &signal);
  LogLine(LogLevel::kInfo, "draining")
      .Number("signal", int64_t{signal})
      .Number("grace_s", absl::ToDoubleSeconds(options.drain_grace));
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  watchdog.emplace(options.drain_grace + options.exit_margin);
  const absl::Status drained = app->Drain();
  const absl::Status fault = app->fault();
  return fault.ok() ? drained : fault;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerApp>> ServerApp::Start(const ServerOptions& options,
                                                            Models models,
                                                            std::function<void()> on_fault) {
  SEMSAM_RETURN_IF_ERROR(CheckModels(Pointers(models)));
  SEMSAM_RETURN_IF_ERROR(options.Validate(models.front()->info().config));
  std::unique_ptr<ServerApp> app(new ServerApp(options, std::move(models), std::move(on_fault)));
  EngineOptions engine_options = options.engine;
  if (!options.tenants_file.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(engine_options.tenants, ReadTenantsFile(options.tenants_file));
  }
  engine_options.tiers.on_error = LogTierError;
  SEMSAM_ASSIGN_OR_RETURN(app->engine_,
                          Engine::Create(engine_options, Pointers(app->models_), *app->stages_,
                                         app->clock_, app->metrics_, app.get()));
  app->ticker_ = std::make_unique<Ticker>(kTickInterval,
                                          [engine = app->engine_.get(), metrics = &app->metrics_] {
                                            engine->Tick();
                                            metrics->SetLogLinesDropped(DroppedLogLines());
                                          });
  if (!options.metrics_listen.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(app->exposer_,
                            MetricsExposer::Start(options.metrics_listen, app->metrics_));
  }
  SEMSAM_RETURN_IF_ERROR(app->Listen());
  if (options.warm_up) {
    WarmUp(*app->engine_, [rpc = app->rpc_.get()](const absl::Status& status) {
      // Not ready, then: whoever probes it starts another.
      if (status.ok()) rpc->readiness().WarmedUp();
    });
  }
  return app;
}

absl::Status ServerApp::Listen() {
  RpcServerOptions rpc = options_.rpc;
  rpc.version = SEMSAM_VERSION;
  rpc.channelz = options_.admin.channelz;
  rpc.start_ready = !options_.warm_up;
  SEMSAM_ASSIGN_OR_RETURN(rpc_, RpcServer::Start(rpc, *engine_, metrics_, clock_));
  {
    // The first call may have come, and the device gone, since.
    MutexLock lock(mutex_);
    readiness_ = &rpc_->readiness();
    if (!fault_.ok()) readiness_->ReportFault();
  }
  if (!options_.admin.listen.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(admin_, AdminServer::Start(options_.admin, rpc_->readiness()));
  }
  if (rpc.tls.enabled() || !rpc.auth.tokens_file.empty()) {
    file_ticker_ = std::make_unique<Ticker>(rpc.tls.reload_interval,
                                            [server = rpc_.get()] { server->ReloadFiles(); });
  }
  return absl::OkStatus();
}

void ServerApp::OnDeviceFault(const absl::Status& why) {
  const absl::string_view error = why.message();
  LogLine(LogLevel::kCritical, "device_fault").Text("error", {error.data(), error.size()});
  {
    MutexLock lock(mutex_);
    if (!fault_.ok()) return;  // the first device that is lost ends the server
    fault_ = why;
    if (readiness_ != nullptr) readiness_->ReportFault();
  }
  if (on_fault_) on_fault_();
}

absl::Status ServerApp::fault() const {
  MutexLock lock(mutex_);
  return fault_;
}

ServerApp::ServerApp(const ServerOptions& options, Models models, std::function<void()> on_fault)
    : options_(options),
      on_fault_(std::move(on_fault)),
      models_(std::move(models)),
      metrics_(MetricsInfoOf(models_)),
      stages_(CreateImageStages(models_.front()->info().config, options.engine.image)) {}

ServerApp::~ServerApp() {
  // A warm-up may be under way, and ends with a word to the server.
  if (engine_ != nullptr) engine_->Shutdown();
}

absl::Status ServerApp::Drain() {
  const absl::Time start = clock_.Now();
  rpc_->StartLameDuck();
  // There is nothing to serve in the meantime.
  if (fault().ok()) absl::SleepFor(options_.drain_delay);
  absl::Status status =
      rpc_->Drain(std::max(absl::ZeroDuration(), start + options_.drain_grace - clock_.Now()));
  engine_->Shutdown(/*store_until=*/start + options_.drain_grace);
  return status;
}

void BlockStopSignals() {
  sigset_t signals = StopSignals();
  sigaddset(&signals, kFaultSignal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int RunServer(const ServerOptions& options, Models models) {
  // Whoever reads the log, or the address, may go away; the server stays.
  std::signal(SIGPIPE, SIG_IGN);
  absl::Status status = options.log.Validate();
  // Standard output is for whoever started the program and waits for the address.
  StartLog(status.ok() ? options.log : LogOptions{});
  LogWhatGrpcSays();
  if (status.ok()) status = Serve(options, std::move(models));
  if (status.ok()) {
    LogEvent(LogLevel::kInfo, "stopped");
  } else {
    const absl::string_view error = status.message();
    LogLine(LogLevel::kError, "stopped").Text("error", {error.data(), error.size()});
  }
  FlushLog(kFlushLimit);
  if (IsDeviceFault(status)) return kFaultExitStatus;
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace semsam
