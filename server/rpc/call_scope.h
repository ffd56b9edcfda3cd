// What every call has around its work: a request id, a trace, limits, metrics, a log
// line.
#ifndef SEMSAM_SERVER_RPC_CALL_SCOPE_H_
#define SEMSAM_SERVER_RPC_CALL_SCOPE_H_

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "server/batching/call_limits.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"
#include "server/rpc/authenticator.h"
#include "server/rpc/call_counter.h"
#include "server/rpc/trace_context.h"

namespace semsam {

// What handlers work with; outlives every call.
struct RpcParts {
  Engine& engine;
  Metrics& metrics;
  const Clock& clock;
  CallCounter& calls;
  const Authenticator& authenticator;
  std::string version;
  // A SegmentOnce answer above this is refused.
  int64_t max_message_bytes = 0;
  // An upload that brings nothing for so long is given up.
  absl::Duration max_upload_pause;
  // For clients to know; gRPC keeps it.
  absl::Duration min_ping_interval;
};

// One call, from its first byte to its status.
//
// The request id and the trace travel with the answer: before its first message, or,
// if there is none, behind the status. An error without a message then has nothing
// but a status, as gRPC's own retry policy wants it: it never repeats a call of which
// anything else came.
// Thread-safety: Cancel, the counts and limits at any time; BeginAnswer and End by
// whoever sends, one at a time; everything else by the constructing thread.
class CallScope {
 public:
  // `context` outlives the scope's End.
  CallScope(const RpcParts& parts, Method method, grpc::CallbackServerContext& context);
  ~CallScope();
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  const RpcParts& parts() const { return parts_; }
  const CallLimits& limits() const { return limits_; }
  // UNAUTHENTICATED if the caller is nobody we know. To be asked before anything is
  // done for the call; Receive asks.
  const absl::Status& admission() const { return admission_; }
  const std::string& request_id() const { return request_id_; }
  // True where the engine's deadline comes before the client's own, so that gRPC
  // will not enforce it.
  bool has_server_deadline() const { return has_server_deadline_; }

  // Reads the request of a call that has one. As admission(); CANCELLED if the call ended before it
  // came; INVALID_ARGUMENT as ParseMessage.
  absl::Status Receive(const grpc::ByteBuffer& bytes, google::protobuf::Message& request);
  // Bytes of messages, for the log.
  void CountReceived(int64_t bytes) { received_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void CountSent(int64_t bytes) { sent_bytes_.fetch_add(bytes, std::memory_order_relaxed); }

  // The client left.
  void Cancel() { cancel_->Cancel(); }

  // Before the first message of a stream; more often does nothing.
  void BeginAnswer();
  // Records and logs how the call ended; the status to send.
  grpc::Status End(const absl::Status& status);

 private:
  void Log(const absl::Status& status, absl::Duration duration) const;

  const RpcParts& parts_;
  const uint64_t generation_;  // in the counter of calls
  const Method method_;
  grpc::CallbackServerContext& context_;
  const absl::Time start_;
  const std::string request_id_;
  const std::optional<TraceContext> trace_;
  const std::shared_ptr<CancelFlag> cancel_;
  CallLimits limits_;
  absl::Status admission_;
  bool has_server_deadline_ = false;
  bool answering_ = false;
  std::atomic<int64_t> received_bytes_{0};
  std::atomic<int64_t> sent_bytes_{0};
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CALL_SCOPE_H_
