#include "server/rpc/segment_handlers.h"

#include <limits>
#include <utility>

#include "model/base/errors.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_words.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/unary_reactor.h"

namespace semsam {
namespace {

// Serialized fields of a mask or of its labels beside their data, generously.
constexpr int64_t kMaskOverheadBytes = 256;
constexpr int64_t kLabelsOverheadBytes = 32;

class SegmentReactor final : public StreamReactor {
 public:
  SegmentReactor(const RpcParts& parts, grpc::CallbackServerContext& context)
      : StreamReactor(parts, Method::kSegment, context) {}

  void Start(const grpc::ByteBuffer& bytes) {
    v1::SegmentRequest request;
    if (absl::Status status = scope().Receive(bytes, request); !status.ok()) return Fail(status);
    absl::StatusOr<SegmentRequest> converted = FromProto(request);
    if (!converted.ok()) return Fail(std::move(converted).status());
    StreamReactor::Start([&] {
      return scope().parts().engine.Segment(
          *std::move(converted), scope().limits(),
          {.on_progress = [this](const CallProgress& progress) { OnProgress(progress); },
           .on_mask = [this](SegmentMask mask) { OnMask(std::move(mask)); },
           .on_done = [this](const absl::StatusOr<SegmentSummary>& summary) { OnEnd(summary); }});
    });
  }

 private:
  void OnProgress(const CallProgress& progress) {
    v1::SegmentResponse response;
    *response.mutable_progress() = ToProto(progress);
    SendProgress(response);
  }

  void OnMask(SegmentMask mask) {
    const int64_t bytes = mask.size_bytes();
    v1::SegmentResponse response;
    *response.mutable_mask() = ToProto(std::move(mask));
    Send(response, bytes);
  }

  void OnEnd(const absl::StatusOr<SegmentSummary>& summary) {
    if (!summary.ok()) return Fail(summary.status());
    v1::SegmentResponse response;
    *response.mutable_summary() = ToProto(*summary);
    SendLast(response);
  }
};

class SegmentOnceReactor final : public UnaryReactor {
 public:
  SegmentOnceReactor(const RpcParts& parts, grpc::CallbackServerContext& context,
                     grpc::ByteBuffer& response)
      : UnaryReactor(parts, Method::kSegmentOnce, context, response) {}

  void Start(const grpc::ByteBuffer& bytes) {
    v1::SegmentOnceRequest request;
    if (absl::Status status = scope().Receive(bytes, request); !status.ok()) return Fail(status);
    absl::StatusOr<SegmentRequest> converted = FromProto(std::move(request));
    if (!converted.ok()) return Fail(converted.status());
    // Masks are bounded by the answer itself: the engine never waits for a reader.
    scope().parts().engine.Segment(
        *std::move(converted), scope().limits(),
        {.on_mask = [this](SegmentMask mask) { OnMask(std::move(mask)); },
         .on_done = [this](const absl::StatusOr<SegmentSummary>& summary) { OnEnd(summary); },
         .window_bytes = std::numeric_limits<int64_t>::max()});
  }

 private:
  void OnMask(SegmentMask mask) {
    response_bytes_ += mask.size_bytes() + kMaskOverheadBytes;
    if (response_bytes_ > scope().parts().max_message_bytes) {
      too_large_ = true;
      scope().Cancel();
      return;
    }
    *response_.add_masks() = ToProto(std::move(mask));
  }

  void OnEnd(const absl::StatusOr<SegmentSummary>& summary) {
    if (too_large_) {
      return Fail(ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
                                  "the masks do not fit one message; call Segment, or ask for a "
                                  "denser encoding"));
    }
    if (!summary.ok()) return Fail(summary.status());
    *response_.mutable_summary() = ToProto(*summary);
    Answer(response_);
  }

  // Of the engine's callbacks, which never overlap.
  v1::SegmentOnceResponse response_;
  int64_t response_bytes_ = 0;
  bool too_large_ = false;
};

class RefreshLabelsReactor final : public UnaryReactor {
 public:
  RefreshLabelsReactor(const RpcParts& parts, grpc::CallbackServerContext& context,
                       grpc::ByteBuffer& response)
      : UnaryReactor(parts, Method::kRefreshLabels, context, response) {}

  void Start(const grpc::ByteBuffer& bytes) {
    if (absl::Status status = scope().Receive(bytes, request_); !status.ok()) return Fail(status);
    absl::StatusOr<RefreshLabelsRequest> converted = FromProto(request_);
    if (!converted.ok()) return Fail(converted.status());
    converted->max_answer_bytes =
        scope().parts().max_message_bytes - kLabelsOverheadBytes * request_.mask_ids_size();
    scope().parts().engine.RefreshLabels(
        *converted, scope().limits(),
        [this](absl::StatusOr<RefreshedLabels> labels) { OnEnd(std::move(labels)); });
  }

 private:
  void OnEnd(absl::StatusOr<RefreshedLabels> labels) {
    if (!labels.ok()) return Fail(labels.status());
    Answer(ToProto(request_.mask_ids(), *std::move(labels)));
  }

  v1::RefreshLabelsRequest request_;
};

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* Segment(const RpcParts& parts,
                                                    grpc::CallbackServerContext& context,
                                                    const grpc::ByteBuffer& request) {
  auto* reactor = new SegmentReactor(parts, context);
  reactor->Start(request);
  return reactor;
}

grpc::ServerUnaryReactor* SegmentOnce(const RpcParts& parts, grpc::CallbackServerContext& context,
                                      const grpc::ByteBuffer& request, grpc::ByteBuffer& response) {
  auto* reactor = new SegmentOnceReactor(parts, context, response);
  reactor->Start(request);
  return reactor;
}

grpc::ServerUnaryReactor* RefreshLabels(const RpcParts& parts, grpc::CallbackServerContext& context,
                                        const grpc::ByteBuffer& request,
                                        grpc::ByteBuffer& response) {
  auto* reactor = new RefreshLabelsReactor(parts, context, response);
  reactor->Start(request);
  return reactor;
}

}  // namespace semsam
