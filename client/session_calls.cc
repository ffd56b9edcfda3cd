#include "client/session_calls.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "client/convert.h"
#include "client/status_details.h"
#include "openssl/rand.h"
#include "openssl/sha.h"

namespace semsam::client {
namespace {

constexpr int kRequestIdBytes = 16;

std::string Hex(const unsigned char* bytes, size_t size) {
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(bytes), size));
}

// Zero is left out.
template <typename Request>
absl::Status SetTtl(absl::Duration ttl, Request& request) {
  if (ttl == absl::ZeroDuration()) return absl::OkStatus();
  auto message = ToProto(ttl, "ttl");
  if (!message.ok()) return message.status();
  *request.mutable_ttl() = *message;
  return absl::OkStatus();
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return Hex(digest, sizeof(digest));
}

std::string NewRequestId() {
  unsigned char bytes[kRequestIdBytes];
  return RAND_bytes(bytes, sizeof(bytes)) == 1 ? Hex(bytes, sizeof(bytes)) : std::string();
}

absl::StatusOr<Session> CallCreateSession(v1::SegmentationService::StubInterface& stub,
                                          absl::Duration ttl, CallContext& context) {
  v1::CreateSessionRequest request;
  if (absl::Status status = SetTtl(ttl, request); !status.ok()) return status;
  request.set_request_id(NewRequestId());
  v1::CreateSessionResponse response;
  const grpc::Status status = stub.CreateSession(context.get(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return FromProto(response.session());
}

absl::StatusOr<Session> CallGetSession(v1::SegmentationService::StubInterface& stub,
                                       const std::string& session_id, CallContext& context) {
  v1::GetSessionRequest request;
  request.set_session_id(session_id);
  v1::GetSessionResponse response;
  const grpc::Status status = stub.GetSession(context.get(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return FromProto(response.session());
}

absl::StatusOr<Session> CallRenewSession(v1::SegmentationService::StubInterface& stub,
                                         const std::string& session_id, absl::Duration ttl,
                                         CallContext& context) {
  v1::RenewSessionRequest request;
  request.set_session_id(session_id);
  if (absl::Status status = SetTtl(ttl, request); !status.ok()) return status;
  v1::RenewSessionResponse response;
  const grpc::Status status = stub.RenewSession(context.get(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return FromProto(response.session());
}

absl::StatusOr<SessionPage> CallListSessions(v1::SegmentationService::StubInterface& stub,
                                             const ListSessionsRequest& request,
                                             CallContext& context) {
  v1::ListSessionsRequest message;
  message.set_page_size(request.page_size);
  message.set_page_token(request.page_token);
  v1::ListSessionsResponse response;
  const grpc::Status status = stub.ListSessions(context.get(), message, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  SessionPage page{.next_page_token = response.next_page_token()};
  for (const v1::Session& session : response.sessions()) {
    auto converted = FromProto(session);
    if (!converted.ok()) return converted.status();
    page.sessions.push_back(*std::move(converted));
  }
  return page;
}

absl::Status CallDeleteSession(v1::SegmentationService::StubInterface& stub,
                               const std::string& session_id, CallContext& context) {
  v1::DeleteSessionRequest request;
  request.set_session_id(session_id);
  request.set_request_id(NewRequestId());
  v1::DeleteSessionResponse response;
  return FromGrpcStatus(stub.DeleteSession(context.get(), request, &response));
}

absl::StatusOr<UploadResult> CallAttachImage(v1::SegmentationService::StubInterface& stub,
                                             const std::string& session_id,
                                             const std::string& sha256, CallContext& context) {
  v1::AttachImageRequest request;
  request.set_session_id(session_id);
  request.set_sha256(sha256);
  v1::AttachImageResponse response;
  const grpc::Status status = stub.AttachImage(context.get(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  auto image = FromProto(response.image());
  if (!image.ok()) return image.status();
  return UploadResult{.image = *std::move(image),
                      .cached = response.cached(),
                      .attached = true,
                      .timings = FromProto(response.timings())};
}

}  // namespace semsam::client
