// The part of ScriptedService that renews, lists and attaches.
#include <utility>

#include "tests/client/scripted_server.h"

namespace semsam::client {
namespace {

constexpr int kPageSize = 2;

grpc::Status SessionNotFound() {
  return MakeError({.code = grpc::StatusCode::NOT_FOUND, .reason = "SESSION_NOT_FOUND"});
}

}  // namespace

void ScriptedService::OnAttach(AttachHook hook) {
  MutexLock lock(mutex_);
  on_attach_ = std::move(hook);
}

std::vector<v1::CreateSessionRequest> ScriptedService::create_requests() const {
  MutexLock lock(mutex_);
  return create_requests_;
}

std::vector<v1::DeleteSessionRequest> ScriptedService::delete_requests() const {
  MutexLock lock(mutex_);
  return delete_requests_;
}

std::vector<v1::AttachImageRequest> ScriptedService::attach_requests() const {
  MutexLock lock(mutex_);
  return attach_requests_;
}

std::vector<v1::ListSessionsRequest> ScriptedService::list_requests() const {
  MutexLock lock(mutex_);
  return list_requests_;
}

grpc::Status ScriptedService::RenewSession(grpc::ServerContext*,
                                           const v1::RenewSessionRequest* request,
                                           v1::RenewSessionResponse* response) {
  MutexLock lock(mutex_);
  const auto session = sessions_.find(request->session_id());
  if (session == sessions_.end()) return SessionNotFound();
  if (request->has_ttl()) *session->second.mutable_ttl() = request->ttl();
  session->second.mutable_expire_time()->set_seconds(2'000 + session->second.ttl().seconds());
  *response->mutable_session() = session->second;
  return grpc::Status::OK;
}

grpc::Status ScriptedService::ListSessions(grpc::ServerContext* context,
                                           const v1::ListSessionsRequest* request,
                                           v1::ListSessionsResponse* response) {
  MutexLock lock(mutex_);
  list_requests_.push_back(*request);
  if (context->client_metadata().count("semsam-tenant") == 0) {
    return MakeError({.code = grpc::StatusCode::FAILED_PRECONDITION,
                      .message = "the call is of no tenant",
                      .reason = "TENANT_REQUIRED"});
  }
  for (auto session = sessions_.lower_bound(request->page_token()); session != sessions_.end();
       ++session) {
    if (response->sessions_size() == kPageSize) {
      response->set_next_page_token(session->first);
      break;
    }
    *response->add_sessions() = session->second;
    response->mutable_sessions()->rbegin()->clear_images();
  }
  return grpc::Status::OK;
}

grpc::Status ScriptedService::AttachImage(grpc::ServerContext*,
                                          const v1::AttachImageRequest* request,
                                          v1::AttachImageResponse* response) {
  AttachHook hook;
  {
    MutexLock lock(mutex_);
    attach_requests_.push_back(*request);
    hook = on_attach_;
  }
  if (hook) {
    if (grpc::Status status = hook(*request); !status.ok()) return status;
  }
  MutexLock lock(mutex_);
  const auto session = sessions_.find(request->session_id());
  if (session == sessions_.end()) return SessionNotFound();
  bool held = static_cast<bool>(hook);
  for (const auto& [id, other] : sessions_) {
    for (const v1::Image& image : other.images()) held |= image.sha256() == request->sha256();
  }
  if (!held) {
    return MakeError({.code = grpc::StatusCode::NOT_FOUND,
                      .message = "the image is not held",
                      .reason = "IMAGE_NOT_FOUND",
                      .sha256 = request->sha256()});
  }
  *response->mutable_image() = AddImage(session->second, request->sha256());
  response->set_cached(true);
  return grpc::Status::OK;
}

}  // namespace semsam::client
