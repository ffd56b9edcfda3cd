// What health checks are told: whether to send calls here, and whether to restart.
//
// Names of grpc.health.v1: "" and the service's own are readiness, which is down while
// the model warms up, while the server drains, and after a fault; kLiveService is
// liveness, which only a fault takes down. A liveness probe on the others would kill a
// server that drains.
#ifndef SEMSAM_SERVER_RPC_READINESS_H_
#define SEMSAM_SERVER_RPC_READINESS_H_

#include <grpcpp/health_check_service_interface.h>

#include <vector>

#include "model/base/mutex.h"
#include "server/metrics/metrics.h"

namespace semsam {

inline constexpr char kLiveService[] = "semsam.live";

// Thread-safe.
class Readiness {
 public:
  // `metrics` outlives this.
  explicit Readiness(Metrics& metrics) : metrics_(metrics) {}

  // `health` says the same from now on, until it is detached.
  void Attach(grpc::HealthCheckServiceInterface& health);
  void Detach(const grpc::HealthCheckServiceInterface& health);

  // Each is for good.
  void WarmedUp();
  void StartDrain();
  // The device is lost: no restart of ours helps, one of the process may.
  void ReportFault();

 private:
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Metrics& metrics_;
  Mutex mutex_;
  bool warm_ ABSL_GUARDED_BY(mutex_) = false;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool faulty_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<grpc::HealthCheckServiceInterface*> health_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_READINESS_H_
