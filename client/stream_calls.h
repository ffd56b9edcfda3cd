// One attempt each of the calls whose answer is a stream. Internal: not
// installed.
//
// Every function reads its stream to the end, hands on what arrives, and checks
// that the summary comes last and counts what came before: DATA_LOSS otherwise.
// Callbacks are as in client/client.h. `delivered` counts the results that a
// callback has taken or the answer holds; with none of them the call may be
// repeated. Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_STREAM_CALLS_H_
#define SEMSAM_CLIENT_STREAM_CALLS_H_

#include "absl/status/statusor.h"
#include "client/call_context.h"
#include "client/client.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam::client {

absl::StatusOr<SegmentSummary> ReadSegmentStream(v1::SegmentationService::StubInterface& stub,
                                                 const v1::SegmentRequest& request,
                                                 const MaskCallback& on_mask,
                                                 const ProgressCallback& on_progress,
                                                 CallContext& context, int& delivered);

absl::StatusOr<SegmentVocabularyResult> ReadVocabularyStream(
    v1::SegmentationService::StubInterface& stub, const v1::SegmentVocabularyRequest& request,
    const SegmentCallback& on_segment, const ProgressCallback& on_progress, CallContext& context,
    int& delivered);

absl::StatusOr<GenerateMasksResult> ReadGenerateStream(v1::SegmentationService::StubInterface& stub,
                                                       const v1::GenerateMasksRequest& request,
                                                       const MaskCallback& on_mask,
                                                       const ProgressCallback& on_progress,
                                                       CallContext& context, int& delivered);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_STREAM_CALLS_H_
