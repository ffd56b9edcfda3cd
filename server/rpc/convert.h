// Between the messages of semsam.v1 and the types of the engine. The only code
// that spells out both.
//
// Errors are INVALID_ARGUMENT and name the field. Thread-safe: free functions
// without state.
#ifndef SEMSAM_SERVER_RPC_CONVERT_H_
#define SEMSAM_SERVER_RPC_CONVERT_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/segmenter.h"
#include "semsam/v1/mask.pb.h"
#include "semsam/v1/prompt.pb.h"
#include "semsam/v1/segmentation_service.pb.h"
#include "server/batching/tenant_id.h"
#include "server/batching/tenant_table.h"
#include "server/cache/session_store.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/engine_options.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

absl::Duration FromProto(const google::protobuf::Duration& duration);

absl::StatusOr<SegmentRequest> FromProto(const v1::SegmentRequest& request);
// Takes the bytes of an image that comes along.
absl::StatusOr<SegmentRequest> FromProto(v1::SegmentOnceRequest&& request);
UploadHeader FromProto(const v1::UploadImageHeader& header);

v1::GetServerInfoResponse ServerInfoToProto(std::string_view version, const ModelInfo& model,
                                            const EngineOptions& options);
v1::TenantQuota QuotaToProto(const TenantId& tenant, const TenantQuota& quota);
// The limits that are not the engine's.
void SetEdgeLimits(int64_t max_message_bytes, absl::Duration max_upload_pause,
                   absl::Duration min_ping_interval, v1::Limits& out);
v1::Session ToProto(const SessionInfo& session);
v1::Image ToProto(const StoredImage& image);
v1::Mask ToProto(SegmentMask mask);
v1::SegmentSummary ToProto(const SegmentSummary& summary);

// Parts of several messages.
absl::StatusOr<std::vector<UserPrompt>> PromptsFromProto(
    const google::protobuf::RepeatedPtrField<v1::Prompt>& prompts);
absl::StatusOr<SegmentOptions> OptionsFromProto(const v1::SegmentOptions& options);
absl::StatusOr<MaskEncoding> EncodingFromProto(v1::MaskEncoding encoding);
absl::StatusOr<MaskResolution> ResolutionFromProto(v1::MaskResolution resolution);
void SetSize(ImageSize size, v1::ImageSize& out);
void SetBox(const PixelBox& box, v1::PixelBox& out);
void SetTimings(const StageTimings& timings, v1::StageTimings& out);

// Of the calls that put an image into a session.
template <typename Response>
void SetUploaded(const UploadedImage& uploaded, Response& out) {
  *out.mutable_image() = ToProto(uploaded.image);
  out.set_cached(uploaded.cached);
  SetTimings(uploaded.timings, *out.mutable_timings());
}

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CONVERT_H_
