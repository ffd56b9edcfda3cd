// The label values of each family of metrics: what is written where a series of
// metrics.cc is found by an enum of metrics.h.
//
// One table a family: a new value of an enum is one case here, and -Wswitch tells who
// forgets it. A value that no enumerator has is no label (empty), which is how Count
// finds the last.
#ifndef SEMSAM_SERVER_METRICS_METRIC_LABELS_H_
#define SEMSAM_SERVER_METRICS_METRIC_LABELS_H_

#include <array>
#include <cstddef>
#include <string_view>

#include "model/base/errors.h"
#include "server/metrics/metrics.h"

namespace semsam {

constexpr std::string_view LabelOf(Method method) {
  switch (method) {
    case Method::kGetServerInfo:
      return "GetServerInfo";
    case Method::kCreateSession:
      return "CreateSession";
    case Method::kGetSession:
      return "GetSession";
    case Method::kRenewSession:
      return "RenewSession";
    case Method::kListSessions:
      return "ListSessions";
    case Method::kDeleteSession:
      return "DeleteSession";
    case Method::kUploadImage:
      return "UploadImage";
    case Method::kAttachImage:
      return "AttachImage";
    case Method::kSegment:
      return "Segment";
    case Method::kSegmentOnce:
      return "SegmentOnce";
    case Method::kRefreshLabels:
      return "RefreshLabels";
    case Method::kSegmentVocabulary:
      return "SegmentVocabulary";
    case Method::kGenerateMasks:
      return "GenerateMasks";
    case Method::kInteract:
      return "Interact";
  }
  return {};
}

constexpr std::string_view LabelOf(Queue queue) {
  switch (queue) {
    case Queue::kDecode:
      return "decode";
    case Queue::kLoad:
      return "load";
    case Queue::kEncode:
      return "encode";
    case Queue::kText:
      return "text";
    case Queue::kBackground:
      return "background";
    case Queue::kMasks:
      return "masks";
    case Queue::kImages:
      return "images";
    case Queue::kResults:
      return "results";
    case Queue::kTierFind:
      return "tier_find";
    case Queue::kDemote:
      return "demote";
  }
  return {};
}

constexpr std::string_view LabelOf(Stage stage) {
  switch (stage) {
    case Stage::kImageDecode:
      return "image_decode";
    case Stage::kPreprocess:
      return "preprocess";
    case Stage::kEncode:
      return "encode";
    case Stage::kDecoder:
      return "decoder";
    case Stage::kUpsample:
      return "upsample";
    case Stage::kMaskEncode:
      return "mask_encode";
    case Stage::kText:
      return "text";
    case Stage::kLabels:
      return "labels";
    case Stage::kVocabulary:
      return "vocabulary";
    case Stage::kRegions:
      return "regions";
    case Stage::kTierRead:
      return "tier_read";
    case Stage::kTierLoad:
      return "tier_load";
    case Stage::kTierStore:
      return "tier_store";
  }
  return {};
}

constexpr std::string_view LabelOf(BatchKind kind) {
  switch (kind) {
    case BatchKind::kImages:
      return "images";
    case BatchKind::kQueries:
      return "queries";
    case BatchKind::kTerms:
      return "terms";
  }
  return {};
}

constexpr std::string_view LabelOf(RetryCause cause) {
  switch (cause) {
    case RetryCause::kMemory:
      return "memory";
    case RetryCause::kFault:
      return "fault";
  }
  return {};
}

constexpr std::string_view LabelOf(Placement placement) {
  switch (placement) {
    case Placement::kHome:
      return "home";
    case Placement::kSpilled:
      return "spilled";
  }
  return {};
}

constexpr std::string_view LabelOf(LookupOutcome outcome) {
  switch (outcome) {
    case LookupOutcome::kHit:
      return "hit";
    case LookupOutcome::kJoined:
      return "joined";
    case LookupOutcome::kMiss:
      return "miss";
  }
  return {};
}

constexpr std::string_view LabelOf(Tier tier) {
  switch (tier) {
    case Tier::kHost:
      return "host";
    case Tier::kDisk:
      return "disk";
  }
  return {};
}

constexpr std::string_view LabelOf(TierOutcome outcome) {
  switch (outcome) {
    case TierOutcome::kHit:
      return "hit";
    case TierOutcome::kMiss:
      return "miss";
    case TierOutcome::kFailed:
      return "failed";
  }
  return {};
}

constexpr std::string_view LabelOf(Demotion outcome) {
  switch (outcome) {
    case Demotion::kStored:
      return "stored";
    case Demotion::kHeld:
      return "held";
    case Demotion::kTakenBack:
      return "taken_back";
    case Demotion::kDropped:
      return "dropped";
    case Demotion::kFailed:
      return "failed";
  }
  return {};
}

constexpr std::string_view LabelOf(SessionClose cause) {
  switch (cause) {
    case SessionClose::kDeleted:
      return "deleted";
    case SessionClose::kIdle:
      return "idle";
    case SessionClose::kMaxAge:
      return "max_age";
  }
  return {};
}

constexpr std::string_view LabelOf(ClickOutcome outcome) {
  switch (outcome) {
    case ClickOutcome::kAnswered:
      return "answered";
    case ClickOutcome::kSuperseded:
      return "superseded";
    case ClickOutcome::kCancelled:
      return "cancelled";
    case ClickOutcome::kFailed:
      return "failed";
  }
  return {};
}

constexpr std::string_view LabelOf(CancelStage stage) {
  switch (stage) {
    case CancelStage::kDecodeQueue:
      return "decode_queue";
    case CancelStage::kEncodeQueue:
      return "encode_queue";
    case CancelStage::kTextQueue:
      return "text_queue";
    case CancelStage::kBackgroundQueue:
      return "background_queue";
    case CancelStage::kMaskQueue:
      return "mask_queue";
    case CancelStage::kImageQueue:
      return "image_queue";
    case CancelStage::kResultQueue:
      return "result_queue";
    case CancelStage::kLoadQueue:
      return "load_queue";
    case CancelStage::kTierQueue:
      return "tier_queue";
    case CancelStage::kMasks:
      return "masks";
  }
  return {};
}

constexpr std::string_view LabelOf(Reloaded what) {
  switch (what) {
    case Reloaded::kTokens:
      return "tokens";
    case Reloaded::kCertificate:
      return "certificate";
  }
  return {};
}

// Names and help of the two gauges of what is bounded.
struct BoundedNames {
  const char* used = nullptr;
  const char* capacity = nullptr;
  const char* help = nullptr;

  constexpr bool empty() const { return used == nullptr; }
};

constexpr BoundedNames LabelOf(Bounded what) {
  switch (what) {
    case Bounded::kCacheBytes:
      return {"semsam_cache_bytes", "semsam_cache_capacity_bytes", "Embeddings in the cache"};
    case Bounded::kSessions:
      return {"semsam_sessions_active", "semsam_sessions_capacity", "Sessions that live"};
    case Bounded::kRetainedImageBytes:
      return {"semsam_retained_image_bytes", "semsam_retained_image_capacity_bytes",
              "Uploaded images retained by sessions"};
    case Bounded::kUnlistedImages:
      return {"semsam_unlisted_images", "semsam_unlisted_images_capacity",
              "Images known by their digest that no session lists any more"};
    case Bounded::kUploadBufferBytes:
      return {"semsam_upload_buffer_bytes", "semsam_upload_buffer_capacity_bytes",
              "Images being uploaded, or sent along with a request"};
    case Bounded::kSegmentCalls:
      return {"semsam_segment_calls_active", "semsam_segment_calls_capacity",
              "Segment calls between admission and their last mask"};
    case Bounded::kSegmentQueries:
      return {"semsam_segment_queries_active", "semsam_segment_queries_capacity",
              "Queries of the admitted segment calls"};
    case Bounded::kBackgroundCalls:
      return {"semsam_background_calls_active", "semsam_background_calls_capacity",
              "Vocabulary and everything-mode calls between admission and their last answer"};
    case Bounded::kResultBytes:
      return {"semsam_result_bytes", "semsam_result_capacity_bytes",
              "Set aside for the model's answers to those calls"};
    case Bounded::kTextCacheBytes:
      return {"semsam_text_cache_bytes", "semsam_text_cache_capacity_bytes",
              "Text embeddings in the cache"};
    case Bounded::kWordBytes:
      return {"semsam_word_bytes", "semsam_word_capacity_bytes",
              "Text embeddings of the calls under way"};
    case Bounded::kMaskQueryBytes:
      return {"semsam_mask_query_bytes", "semsam_mask_query_capacity_bytes",
              "Query embeddings of masks, kept by sessions"};
    case Bounded::kRecentRequests:
      return {"semsam_recent_requests", "semsam_recent_requests_capacity",
              "Requests remembered by their request_id"};
    case Bounded::kInteractStreams:
      return {"semsam_interact_streams_active", "semsam_interact_streams_capacity",
              "Interact streams that are open"};
    case Bounded::kOpenClicks:
      return {"semsam_interact_clicks_open", "semsam_interact_clicks_capacity",
              "Clicks of those streams that are not answered yet"};
  }
  return {};
}

// Status codes by number.
inline constexpr auto kCodes = std::to_array<std::string_view>(
    {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
     "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
     "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"});
inline constexpr std::string_view kOtherReason = "OTHER";
inline constexpr auto kReasons = std::to_array<std::string_view>(
    {reason::kInvalidArgument,    reason::kImageUndecodable,  reason::kImageTooLarge,
     reason::kPointOutsideImage,  reason::kUnknownLevel,      reason::kUploadProtocol,
     reason::kDigestMismatch,     reason::kSessionNotFound,   reason::kImageNotFound,
     reason::kMaskNotFound,       reason::kCapabilityMissing, reason::kQueueFull,
     reason::kMemoryFull,         reason::kLimitExceeded,     reason::kQuotaExceeded,
     reason::kUnauthenticated,    reason::kTenantRequired,    reason::kUploadStalled,
     reason::kDraining,           reason::kSuperseded,        reason::kStreamExpired,
     reason::kDeadlineUnmeetable, reason::kDeviceFault,       kOtherReason});

template <typename Enum>
constexpr size_t Index(Enum value) {
  return static_cast<size_t>(value);
}

// How many values an enum has: they count from 0 without a gap.
template <typename Enum>
constexpr size_t Count() {
  size_t count = 0;
  while (!LabelOf(static_cast<Enum>(count)).empty()) ++count;
  return count;
}

}  // namespace semsam

#endif  // SEMSAM_SERVER_METRICS_METRIC_LABELS_H_
