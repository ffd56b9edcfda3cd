// A Semsam server as the target of a load test: calls without a thread of their own.
#ifndef SEMSAM_CLIENT_LOAD_GRPC_TARGET_H_
#define SEMSAM_CLIENT_LOAD_GRPC_TARGET_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/load/load_target.h"
#include "model/base/clock.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam::load {

struct GrpcTargetOptions {
  client::ClientOptions server;
  int connections = 8;      // TCP connections that the sessions share
  std::vector<int> levels;  // of every click; empty asks for all
  // Points of GenerateMasks on a side; 0 takes the server's default.
  int points_per_side = 8;

  // OK, or INVALID_ARGUMENT that names the member.
  absl::Status Validate() const;
};

// Thread-safe. Outlives its calls.
//
// An answer that breaks the protocol (no summary, or one that counts other masks than
// came) is DATA_LOSS. Times are those of `clock`, deadlines those of the machine.
class GrpcTarget final : public LoadTarget {
 public:
  // Asks nothing of the server. `clock` outlives the target.
  static absl::StatusOr<std::unique_ptr<GrpcTarget>> Create(GrpcTargetOptions options,
                                                            const Clock& clock);

  std::shared_ptr<LoadCall> Start(const CallRequest& request, Done done) override;

 private:
  using Stub = v1::SegmentationService::Stub;

  GrpcTarget(GrpcTargetOptions options, const Clock& clock)
      : options_(std::move(options)), clock_(clock) {}

  const GrpcTargetOptions options_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Stub>> stubs_;
};

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_GRPC_TARGET_H_
