// The stream of clicks of the scripted server.
#include <utility>

#include "tests/client/scripted_server.h"

namespace semsam::client {

void ScriptedService::OnInteract(InteractHook hook) {
  MutexLock lock(mutex_);
  on_interact_ = std::move(hook);
}

// Each click in the order it came, in one message.
grpc::Status ScriptedService::Interact(grpc::ServerContext* context, InteractPeer* peer) {
  InteractHook hook;
  {
    MutexLock lock(mutex_);
    hook = on_interact_;
  }
  if (hook) return hook(*context, *peer);
  v1::InteractStart start;
  v1::InteractRequest request;
  while (peer->Read(&request)) {
    if (request.has_start()) start = request.start();
    if (!request.has_click()) continue;
    std::vector<v1::Mask> masks;
    v1::InteractResponse response;
    const grpc::Status found = FindImage(start.session_id(), start.image_id());
    v1::InteractEvent last;
    last.set_correlation_id(request.click().correlation_id());
    if (found.ok()) {
      Answer(request.click().prompts(), start.options(), masks, *last.mutable_summary());
    } else {
      last.mutable_error()->set_code(found.error_code());
      last.mutable_error()->set_message(found.error_message());
    }
    for (v1::Mask& mask : masks) {
      Label(start.labels(), mask);
      v1::InteractEvent& event = *response.add_events();
      event.set_correlation_id(request.click().correlation_id());
      *event.mutable_mask() = std::move(mask);
    }
    *response.add_events() = std::move(last);
    if (!peer->Write(response)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

}  // namespace semsam::client
