// What every call of the client has: a context that ends with it, and for streams one
// way to read them. Internal: not installed.
#ifndef SEMSAM_CLIENT_CALL_CONTEXT_H_
#define SEMSAM_CLIENT_CALL_CONTEXT_H_

#include <functional>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/status_details.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"

namespace semsam::client {

// The context of one call: its deadline, its metadata, and its way to be
// stopped, all of which end with it.
class CallContext {
 public:
  CallContext(const ClientOptions& options, const CallOptions& call, absl::Duration timeout)
      : on_stop_(call.stop, [this] { context_.TryCancel(); }) {
    if (call.timeout > absl::ZeroDuration()) timeout = call.timeout;
    context_.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    for (const auto& [key, value] : options.metadata) context_.AddMetadata(key, value);
  }

  grpc::ClientContext* get() { return &context_; }
  grpc::ClientContext* operator->() { return &context_; }

 private:
  grpc::ClientContext context_;
  std::stop_callback<std::function<void()>> on_stop_;
};

// Hands every message to `on_message`, which returns OK or why this side ends
// the stream; the call is then cancelled. Returns that, or how the stream ended.
template <typename Response, typename OnMessage>
absl::Status ReadStream(grpc::ClientReaderInterface<Response>& reader, CallContext& context,
                        const OnMessage& on_message) {
  absl::Status stopped;
  Response response;
  while (stopped.ok() && reader.Read(&response)) stopped = on_message(response);
  if (stopped.ok()) return FromGrpcStatus(reader.Finish());
  context->TryCancel();
  while (reader.Read(&response)) {
  }
  (void)reader.Finish();  // CANCELLED, by our own doing
  return stopped;
}

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CALL_CONTEXT_H_
