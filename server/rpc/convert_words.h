// Between the messages of semsam.v1 that words brought and the types of the engine;
// see convert.h.
#ifndef SEMSAM_SERVER_RPC_CONVERT_WORDS_H_
#define SEMSAM_SERVER_RPC_CONVERT_WORDS_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "semsam/v1/segmentation_service.pb.h"
#include "semsam/v1/words.pb.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/segment_types.h"

namespace semsam {

absl::StatusOr<UserWords> WordsFromProto(const v1::WordList& list, std::string_view field);
// `field` is "labels".
absl::StatusOr<LabelOptions> FromProto(const v1::LabelOptions& labels);
absl::StatusOr<RefreshLabelsRequest> FromProto(const v1::RefreshLabelsRequest& request);
absl::StatusOr<VocabularyCallRequest> FromProto(const v1::SegmentVocabularyRequest& request);
absl::StatusOr<GenerateRequest> FromProto(const v1::GenerateMasksRequest& request);

v1::Label ToProto(MaskLabel label);
v1::Progress ToProto(const CallProgress& progress);
v1::RefreshLabelsResponse ToProto(const google::protobuf::RepeatedField<uint64_t>& mask_ids,
                                  RefreshedLabels labels);
v1::VocabularySegment ToProto(VocabularySegment segment);
v1::PanopticMap ToProto(PanopticPicture picture);
v1::SegmentVocabularySummary ToProto(const VocabularySummary& summary);
v1::GenerateMasksSummary ToProto(const GenerateSummary& summary);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CONVERT_WORDS_H_
