#include "server/rpc/call_scope.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "model/base/errors.h"
#include "server/cache/random_id.h"
#include "server/log/log.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/wire.h"

namespace semsam {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr size_t kMaxRequestIdBytes = 64;
constexpr int kRequestIdBits = 64;
// Of an error's text, in the log.
constexpr size_t kMaxLoggedBytes = 512;

bool IsGoodRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                  c == '.';
         });
}

// The first value of that key, if there is one.
std::optional<std::string_view> Metadata(const grpc::CallbackServerContext& context,
                                         const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string_view(found->second.data(), found->second.size());
}

// The same; empty where there are several: one of them may be forged.
std::optional<std::string_view> OnlyMetadata(const grpc::CallbackServerContext& context,
                                             const char* key) {
  if (context.client_metadata().count(key) > 1) return std::string_view();
  return Metadata(context, key);
}

std::string RequestId(const grpc::CallbackServerContext& context) {
  const std::optional<std::string_view> sent = Metadata(context, kRequestIdKey);
  if (sent.has_value() && IsGoodRequestId(*sent)) return std::string(*sent);
  return RandomHexId(kRequestIdBits).value_or("unknown");
}

std::optional<TraceContext> Trace(const grpc::CallbackServerContext& context) {
  const std::optional<std::string_view> sent = Metadata(context, kTraceParentKey);
  return sent.has_value() ? ParseTraceParent(*sent) : std::nullopt;
}

absl::Time ClientDeadline(const grpc::CallbackServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture()
                                                                  : absl::FromChrono(deadline);
}

LogLevel LevelOf(const absl::Status& status) {
  if (status.ok()) return LogLevel::kInfo;
  return absl::IsInternal(status) ? LogLevel::kError : LogLevel::kWarning;
}

}  // namespace

CallScope::CallScope(const RpcParts& parts, Method method, grpc::CallbackServerContext& context)
    : parts_(parts),
      generation_(parts.calls.Enter()),
      method_(method),
      context_(context),
      start_(parts.clock.Now()),
      request_id_(RequestId(context)),
      trace_(Trace(context)),
      cancel_(std::make_shared<CancelFlag>()) {
  const absl::Time wanted = ClientDeadline(context_);
  const bool background =
      method_ == Method::kSegmentVocabulary || method_ == Method::kGenerateMasks;
  limits_ = {.deadline = parts_.engine.EffectiveDeadline(wanted, background), .cancel = cancel_};
  has_server_deadline_ = limits_.deadline < wanted;
  absl::StatusOr<TenantId> tenant = parts_.authenticator.Authenticate(
      Metadata(context_, kAuthorizationKey), OnlyMetadata(context_, kTenantKey));
  admission_ = tenant.status();
  if (tenant.ok()) limits_.tenant = *std::move(tenant);
}

CallScope::~CallScope() { parts_.calls.Leave(generation_); }

absl::Status CallScope::Receive(const grpc::ByteBuffer& bytes, google::protobuf::Message& request) {
  if (!admission_.ok()) return admission_;
  // What gRPC hands over for a call that was cancelled while its message was on the way.
  if (!bytes.Valid()) return absl::CancelledError("the call ended before its request came");
  CountReceived(static_cast<int64_t>(bytes.Length()));
  return ParseMessage(bytes, request);
}

void CallScope::BeginAnswer() {
  if (answering_) return;
  answering_ = true;
  context_.AddInitialMetadata(kRequestIdKey, request_id_);
  if (trace_.has_value()) context_.AddInitialMetadata(kTraceResponseKey, trace_->Response());
}

grpc::Status CallScope::End(const absl::Status& status) {
  const absl::Duration duration = parts_.clock.Now() - start_;
  parts_.metrics.RecordRequest(method_, status.code(), duration);
  if (!status.ok() && ErrorReason(status).has_value()) {
    parts_.metrics.RecordRejection(*ErrorReason(status));
  }
  Log(status, duration);
  if (status.ok()) {
    BeginAnswer();
  } else if (!answering_) {
    context_.AddTrailingMetadata(kRequestIdKey, request_id_);
    if (trace_.has_value()) context_.AddTrailingMetadata(kTraceResponseKey, trace_->Response());
  }
  if (const auto pushback = RetryPushback(status); pushback.has_value()) {
    context_.AddTrailingMetadata(kRetryPushbackKey, *pushback);
  }
  return ToGrpcStatus(status);
}

void CallScope::Log(const absl::Status& status, absl::Duration duration) const {
  LogLine line(LevelOf(status), "call");
  line.Text("method", MethodName(method_)).Text("request_id", request_id_);
  if (trace_.has_value()) {
    line.Text("trace_id", trace_->trace_id)
        .Text("parent_id", trace_->parent_id)
        .Text("span_id", trace_->span_id);
  }
  if (!limits_.tenant.name.empty()) line.Text("tenant", limits_.tenant.name);
  line.Text("peer", context_.peer())
      .Text("code", absl::StatusCodeToString(status.code()))
      .Number("duration_ms", absl::ToDoubleMilliseconds(duration))
      .Number("received_bytes", received_bytes_.load(std::memory_order_relaxed))
      .Number("sent_bytes", sent_bytes_.load(std::memory_order_relaxed));
  if (status.ok()) return;
  const std::string_view error(status.message().data(), status.message().size());
  line.Text("reason", ErrorReason(status).value_or("-"))
      .Text("error", error.substr(0, kMaxLoggedBytes));
}

}  // namespace semsam
