// client/convert.h for the calls of client/scene_types.h. Internal to the
// client: not installed.
#ifndef SEMSAM_CLIENT_CONVERT_SCENE_H_
#define SEMSAM_CLIENT_CONVERT_SCENE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/scene_types.h"
#include "semsam/v1/segmentation_service.pb.h"

namespace semsam::client {

absl::StatusOr<v1::RefreshLabelsRequest> ToProto(const RefreshLabelsRequest& request);
absl::StatusOr<v1::SegmentVocabularyRequest> ToProto(const SegmentVocabularyRequest& request);
absl::StatusOr<v1::GenerateMasksRequest> ToProto(const GenerateMasksRequest& request);

// Each checks the answer against the `request` it belongs to.
absl::StatusOr<RefreshLabelsResult> FromProto(const v1::RefreshLabelsResponse& message,
                                              const v1::RefreshLabelsRequest& request);
absl::StatusOr<VocabularySegment> FromProto(const v1::VocabularySegment& message,
                                            const v1::SegmentVocabularyRequest& request);
absl::StatusOr<PanopticMap> FromProto(const v1::PanopticMap& message,
                                      const v1::SegmentVocabularyRequest& request);

// The tree of a GenerateMasks: `areas_px` are those of the masks, in the order
// they came. DATA_LOSS unless every parent is a larger mask.
absl::StatusOr<std::vector<int>> ParentsFromProto(const v1::GenerateMasksSummary& message,
                                                  const std::vector<int64_t>& areas_px);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CONVERT_SCENE_H_
