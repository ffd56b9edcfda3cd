// Between the messages of semsam.v1 for Interact and the types of the engine; see
// convert.h.
#ifndef SEMSAM_SERVER_RPC_CONVERT_INTERACT_H_
#define SEMSAM_SERVER_RPC_CONVERT_INTERACT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "semsam/v1/segmentation_service.pb.h"
#include "server/pipeline/interact_calls.h"

namespace semsam {

absl::StatusOr<InteractStart> FromProto(const v1::InteractStart& start);
// A prompt that cannot be read is in the click.
InteractClick FromProto(const v1::InteractClick& click);

v1::InteractError ErrorToProto(const absl::Status& status);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CONVERT_INTERACT_H_
