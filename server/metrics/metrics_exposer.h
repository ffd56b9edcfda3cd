// Serves the metrics over HTTP on a port of their own.
#ifndef SEMSAM_SERVER_METRICS_METRICS_EXPOSER_H_
#define SEMSAM_SERVER_METRICS_METRICS_EXPOSER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/metrics/metrics.h"

namespace prometheus {
class Exposer;
}  // namespace prometheus

namespace semsam {

// Runs its own threads; stops when destroyed.
class MetricsExposer {
 public:
  // Listens on `address` ("127.0.0.1:9464"; port 0 picks a free one) and answers
  // GET /metrics. `metrics` outlives this. UNAVAILABLE if the port is taken.
  static absl::StatusOr<std::unique_ptr<MetricsExposer>> Start(const std::string& address,
                                                               const Metrics& metrics);
  ~MetricsExposer();

  int port() const;

 private:
  explicit MetricsExposer(std::unique_ptr<prometheus::Exposer> exposer);
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_METRICS_METRICS_EXPOSER_H_
