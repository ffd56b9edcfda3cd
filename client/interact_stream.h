// The stream behind client/interact.h. Internal to the client: not installed.
#ifndef SEMSAM_CLIENT_INTERACT_STREAM_H_
#define SEMSAM_CLIENT_INTERACT_STREAM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/interact.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam::client {

// `stub` outlives the stream. INVALID_ARGUMENT for what cannot be sent; a server that
// cannot be reached shows at the first click.
absl::StatusOr<std::unique_ptr<InteractStream>> OpenInteractStream(
    v1::SegmentationService::StubInterface& stub, const ClientOptions& options,
    const InteractStart& start, InteractEvents events, const CallOptions& call);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_INTERACT_STREAM_H_
