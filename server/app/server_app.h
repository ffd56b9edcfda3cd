// The whole server over a model on one device or several: what semsam-server runs, and,
// over fake models, the tests.
#ifndef SEMSAM_SERVER_APP_SERVER_APP_H_
#define SEMSAM_SERVER_APP_SERVER_APP_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/clock.h"
#include "model/base/mutex.h"
#include "model/segmenter.h"
#include "server/app/server_options.h"
#include "server/metrics/metrics.h"
#include "server/metrics/metrics_exposer.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/fault_listener.h"
#include "server/pipeline/image_stages.h"
#include "server/pipeline/ticker.h"
#include "server/rpc/admin_server.h"
#include "server/rpc/rpc_server.h"

namespace semsam {

// The same model on each device.
using Models = std::vector<std::unique_ptr<Segmenter>>;

// What the process ends with after a device was lost.
inline constexpr int kFaultExitStatus = 4;

// Thread-safe. Stops at once when destroyed; Drain stops it gracefully. Once a device is
// lost, health and liveness are NOT_SERVING for good and calls that need it are refused:
// drain it then.
class ServerApp : private FaultListener {
 public:
  // Takes calls when it returns; health says SERVING once the model is warm.
  // INVALID_ARGUMENT names a bad option; UNAVAILABLE if a port is taken.
  // `on_fault` (may be null) runs once after the first device was lost, on any thread; it
  // must be quick.
  static absl::StatusOr<std::unique_ptr<ServerApp>> Start(const ServerOptions& options,
                                                          Models models,
                                                          std::function<void()> on_fault = nullptr);
  ~ServerApp() override;

  const std::string& address() const { return rpc_->address(); }
  int port() const { return rpc_->port(); }
  // 0 if metrics are not served.
  int metrics_port() const { return exposer_ == nullptr ? 0 : exposer_->port(); }

  // 0 if there is no admin port, or it is a unix socket.
  int admin_port() const { return admin_ == nullptr ? 0 : admin_->port(); }

  // DEVICE_FAULT once a device is lost, else OK.
  absl::Status fault() const;

  // Waits for options.drain_delay (without a device: not at all), then refuses new work, finishes
  // what runs within the grace period, and stops. DEADLINE_EXCEEDED if something had to be
  // cancelled.
  absl::Status Drain();

 private:
  ServerApp(const ServerOptions& options, Models models, std::function<void()> on_fault);
  absl::Status Listen();
  void OnDeviceFault(const absl::Status& why) override;

  const ServerOptions options_;
  const std::function<void()> on_fault_;
  RealClock clock_;
  mutable Mutex mutex_;
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
  Readiness* readiness_ ABSL_GUARDED_BY(mutex_) = nullptr;  // once it listens
  // In order of construction: destroyed in reverse, so that whoever calls goes
  // before what it calls.
  const Models models_;
  Metrics metrics_;
  const std::unique_ptr<ImageStages> stages_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Ticker> ticker_;
  std::unique_ptr<MetricsExposer> exposer_;
  std::unique_ptr<RpcServer> rpc_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<Ticker> file_ticker_;
};

// Blocks SIGTERM and SIGINT for this thread and those it starts; call it before
// anything starts a thread.
void BlockStopSignals();

// Serves until SIGTERM or SIGINT, then drains. Prints "listening on ADDRESS" to
// standard output once it serves. The program's exit status: 0 after a clean drain, 1
// if calls had to be cancelled, kFaultExitStatus if a device was lost: then it drains and
// ends by itself. What cannot be cancelled, a batch on the device, does
// not keep it: `exit_margin` after the grace period the process ends with status 3
// (ExitWatchdog). A second signal ends the program at once.
int RunServer(const ServerOptions& options, Models models);

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_SERVER_APP_H_
