// Between the client's structs and the protocol's messages. Internal to the
// client: not installed.
//
// ToProto: INVALID_ARGUMENT names a value that the wire cannot carry; what the
// wire can carry is the server's to judge. FromProto: DATA_LOSS for an answer
// that no correct server sends (sizes beyond int, unknown encodings).
#ifndef SEMSAM_CLIENT_CONVERT_H_
#define SEMSAM_CLIENT_CONVERT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/types.h"
#include "semsam/v1/segmentation_service.pb.h"

namespace semsam::client {

// A request message with `prompts` and `options` fields; the rest is the caller's.
absl::Status ToProto(const std::vector<Prompt>& prompts, const PromptOptions& options,
                     v1::SegmentRequest& message);
absl::Status ToProto(const std::vector<Prompt>& prompts, const PromptOptions& options,
                     v1::SegmentOnceRequest& message);
// `field` names the duration in an error.
absl::StatusOr<google::protobuf::Duration> ToProto(absl::Duration duration,
                                                   const std::string& field);

ServerInfo FromProto(const v1::GetServerInfoResponse& message);
absl::StatusOr<Image> FromProto(const v1::Image& message);
absl::StatusOr<Session> FromProto(const v1::Session& message);
StageTimings FromProto(const v1::StageTimings& message);
absl::StatusOr<Mask> FromProto(const v1::Mask& message);
absl::StatusOr<SegmentSummary> FromProto(const v1::SegmentSummary& message);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CONVERT_H_
