// What every call has around its work: a request id, limits, metrics, a log line.
#ifndef SEMSAM_SERVER_RPC_CALL_SCOPE_H_
#define SEMSAM_SERVER_RPC_CALL_SCOPE_H_

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "server/batching/call_limits.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"
#include "server/rpc/call_counter.h"

namespace semsam {

// What handlers work with; outlives every call.
struct RpcParts {
  Engine& engine;
  Metrics& metrics;
  const Clock& clock;
  CallCounter& calls;
  std::string version;
  // A SegmentOnce answer above this is refused.
  int64_t max_message_bytes = 0;
  bool trust_tenant_metadata = false;
};

// One call, from its first byte to its status.
// Thread-safety: Cancel and limits at any time; End once, by whoever ends the
// call; everything else by the constructing thread.
class CallScope {
 public:
  // `context` outlives the scope's End. Answers the client's `x-request-id`, or
  // one made up, as initial metadata.
  CallScope(const RpcParts& parts, Method method, grpc::CallbackServerContext& context);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  const RpcParts& parts() const { return parts_; }
  const CallLimits& limits() const { return limits_; }
  // UNAUTHENTICATED if the caller names no tenant as one is named. To be asked before
  // anything is done for the call; Receive asks.
  const absl::Status& admission() const { return admission_; }
  const std::string& request_id() const { return request_id_; }
  // True where the engine's deadline comes before the client's own, so that gRPC
  // will not enforce it.
  bool has_server_deadline() const { return has_server_deadline_; }

  // Reads the request of a call that has one. Errors as of admission() and ParseMessage.
  absl::Status Receive(const grpc::ByteBuffer& bytes, google::protobuf::Message& request) const;

  // The client left.
  void Cancel() { cancel_->Cancel(); }

  // Records and logs how the call ended; the status to send.
  grpc::Status End(const absl::Status& status);

 private:
  const RpcParts& parts_;
  const uint64_t generation_;  // in the counter of calls
  const Method method_;
  grpc::CallbackServerContext& context_;
  const absl::Time start_;
  const std::string request_id_;
  const std::shared_ptr<CancelFlag> cancel_;
  CallLimits limits_;
  absl::Status admission_;
  bool has_server_deadline_ = false;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CALL_SCOPE_H_
