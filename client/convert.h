// Between the client's structs and the protocol's messages. Internal to the
// client: not installed.
//
// ToProto: INVALID_ARGUMENT names a value that the wire cannot carry; what the
// wire can carry is the server's to judge. FromProto: DATA_LOSS for an answer
// that no correct server sends (sizes beyond int, unknown encodings). What only
// the calls of client/scene_types.h need is in client/convert_scene.h.
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
// The parts of such a message.
void ToProto(const std::vector<Prompt>& prompts,
             google::protobuf::RepeatedPtrField<v1::Prompt>& message);
absl::Status ToProto(const PromptOptions& options, v1::SegmentOptions& message);
// Nothing is set where `labels` asks for nothing.
absl::Status ToProto(const LabelOptions& labels, v1::SegmentRequest& message);
absl::Status ToProto(const LabelOptions& labels, v1::SegmentOnceRequest& message);
// `field` names the value in an error.
absl::Status ToProto(const LabelOptions& labels, const std::string& field,
                     v1::LabelOptions& message);
absl::Status ToProto(const WordList& list, const std::string& field, v1::WordList& message);
absl::Status SetLevels(const std::vector<int>& levels,
                       google::protobuf::RepeatedField<uint32_t>& message);
v1::MaskEncoding ToProto(MaskEncoding encoding);
v1::MaskResolution ToProto(MaskResolution resolution);
absl::StatusOr<google::protobuf::Duration> ToProto(absl::Duration duration,
                                                   const std::string& field);

ServerInfo FromProto(const v1::GetServerInfoResponse& message);
TenantQuota FromProto(const v1::TenantQuota& message);
absl::StatusOr<Image> FromProto(const v1::Image& message);
absl::StatusOr<Session> FromProto(const v1::Session& message);
StageTimings FromProto(const v1::StageTimings& message);
// `what` names the number in an error.
absl::StatusOr<int> ToInt(uint32_t value, const char* what);
absl::StatusOr<ImageSize> FromProto(const v1::ImageSize& message);
absl::StatusOr<PixelBox> FromProto(const v1::PixelBox& message);
// How many words an answer may point at.
int WordsOf(const v1::WordList& list);
// DATA_LOSS for a label that is none of so many `words`.
absl::StatusOr<std::vector<Label>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Label>& labels, int words);
// `labels`: what the request asked for.
absl::StatusOr<Mask> FromProto(const v1::Mask& message, const v1::LabelOptions& labels);
absl::StatusOr<Progress> FromProto(const v1::Progress& message);
absl::StatusOr<SegmentSummary> FromProto(const v1::SegmentSummary& message);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CONVERT_H_
