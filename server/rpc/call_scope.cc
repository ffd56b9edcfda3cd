#include "server/rpc/call_scope.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "model/base/errors.h"
#include "server/cache/random_id.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/wire.h"

namespace semsam {
namespace {

constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTenantKey[] = "semsam-tenant";
constexpr size_t kMaxRequestIdBytes = 64;
constexpr int kRequestIdBits = 64;

bool IsGoodRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                  c == '.';
         });
}

std::string RequestId(const grpc::CallbackServerContext& context) {
  const auto sent = context.client_metadata().find(kRequestIdKey);
  if (sent != context.client_metadata().end()) {
    const std::string_view id(sent->second.data(), sent->second.size());
    if (IsGoodRequestId(id)) return std::string(id);
  }
  return RandomHexId(kRequestIdBits).value_or("unknown");
}

// The tenant that the metadata names; the nameless one where there is none.
absl::StatusOr<TenantId> TenantOf(const grpc::CallbackServerContext& context) {
  const auto [begin, end] = context.client_metadata().equal_range(kTenantKey);
  if (begin == end) return TenantId{};
  const std::string_view name(begin->second.data(), begin->second.size());
  // Of several one may be forged.
  if (std::next(begin) != end || !IsValidTenantName(name)) {
    return ErrorWithReason(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated,
                           "metadata 'semsam-tenant' is no tenant's name");
  }
  return TenantId{std::string(name)};
}

absl::Time ClientDeadline(const grpc::CallbackServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture()
                                                                  : absl::FromChrono(deadline);
}

void LogCall(Method method, const std::string& request_id, const absl::Status& status,
             absl::Duration duration) {
  const double milliseconds = absl::ToDoubleMilliseconds(duration);
  const std::string code = absl::StatusCodeToString(status.code());
  if (status.ok()) {
    spdlog::info("call method={} request_id={} code={} duration_ms={:.3f}", MethodName(method),
                 request_id, code, milliseconds);
    return;
  }
  // The text may quote the request: nothing of it may end the line.
  const auto level =
      status.code() == absl::StatusCode::kInternal ? spdlog::level::err : spdlog::level::warn;
  spdlog::log(level,
              "call method={} request_id={} code={} duration_ms={:.3f} reason={} error=\"{}\"",
              MethodName(method), request_id, code, milliseconds, ErrorReason(status).value_or("-"),
              absl::Utf8SafeCEscape(status.message().substr(0, 512)));
}

}  // namespace

CallScope::CallScope(const RpcParts& parts, Method method, grpc::CallbackServerContext& context)
    : parts_(parts),
      generation_(parts.calls.Enter()),
      method_(method),
      context_(context),
      start_(parts.clock.Now()),
      request_id_(RequestId(context)),
      cancel_(std::make_shared<CancelFlag>()) {
  context_.AddInitialMetadata(kRequestIdKey, request_id_);
  const absl::Time wanted = ClientDeadline(context_);
  const bool background =
      method_ == Method::kSegmentVocabulary || method_ == Method::kGenerateMasks;
  limits_ = {.deadline = parts_.engine.EffectiveDeadline(wanted, background), .cancel = cancel_};
  has_server_deadline_ = limits_.deadline < wanted;
  if (!parts_.trust_tenant_metadata) return;
  absl::StatusOr<TenantId> tenant = TenantOf(context_);
  admission_ = tenant.status();
  if (tenant.ok()) limits_.tenant = *std::move(tenant);
}

CallScope::~CallScope() { parts_.calls.Leave(generation_); }

absl::Status CallScope::Receive(const grpc::ByteBuffer& bytes,
                                google::protobuf::Message& request) const {
  if (!admission_.ok()) return admission_;
  return ParseMessage(bytes, request);
}

grpc::Status CallScope::End(const absl::Status& status) {
  const absl::Duration duration = parts_.clock.Now() - start_;
  parts_.metrics.RecordRequest(method_, status.code(), duration);
  if (!status.ok() && ErrorReason(status).has_value()) {
    parts_.metrics.RecordRejection(*ErrorReason(status));
  }
  LogCall(method_, request_id_, status, duration);
  if (const auto pushback = RetryPushback(status); pushback.has_value()) {
    context_.AddTrailingMetadata(kRetryPushbackKey, *pushback);
  }
  return ToGrpcStatus(status);
}

}  // namespace semsam
