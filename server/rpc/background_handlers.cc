#include "server/rpc/background_handlers.h"

#include <utility>

#include "server/rpc/convert.h"
#include "server/rpc/convert_words.h"
#include "server/rpc/stream_reactor.h"

namespace semsam {
namespace {

class VocabularyReactor final : public StreamReactor {
 public:
  VocabularyReactor(const RpcParts& parts, grpc::CallbackServerContext& context)
      : StreamReactor(parts, Method::kSegmentVocabulary, context) {}

  void Start(const grpc::ByteBuffer& bytes) {
    v1::SegmentVocabularyRequest request;
    if (absl::Status status = scope().Receive(bytes, request); !status.ok()) return Fail(status);
    const absl::StatusOr<VocabularyCallRequest> converted = FromProto(request);
    if (!converted.ok()) return Fail(converted.status());
    StreamReactor::Start([&] {
      return scope().parts().engine.SegmentVocabulary(
          *converted, scope().limits(),
          {.on_progress = [this](const CallProgress& progress) { OnProgress(progress); },
           .on_segment = [this](VocabularySegment segment) { OnSegment(std::move(segment)); },
           .on_panoptic = [this](PanopticPicture picture) { OnPanoptic(std::move(picture)); },
           .on_done = [this](const absl::StatusOr<VocabularySummary>& summary) { OnEnd(summary); },
           .max_item_bytes = scope().parts().max_message_bytes});
    });
  }

 private:
  void OnProgress(const CallProgress& progress) {
    v1::SegmentVocabularyResponse response;
    *response.mutable_progress() = ToProto(progress);
    SendProgress(response);
  }

  void OnSegment(VocabularySegment segment) {
    const int64_t bytes = segment.size_bytes();
    v1::SegmentVocabularyResponse response;
    *response.mutable_segment() = ToProto(std::move(segment));
    Send(response, bytes);
  }

  void OnPanoptic(PanopticPicture picture) {
    const int64_t bytes = picture.size_bytes();
    v1::SegmentVocabularyResponse response;
    *response.mutable_panoptic() = ToProto(std::move(picture));
    Send(response, bytes);
  }

  void OnEnd(const absl::StatusOr<VocabularySummary>& summary) {
    if (!summary.ok()) return Fail(summary.status());
    v1::SegmentVocabularyResponse response;
    *response.mutable_summary() = ToProto(*summary);
    SendLast(response);
  }
};

class GenerateReactor final : public StreamReactor {
 public:
  GenerateReactor(const RpcParts& parts, grpc::CallbackServerContext& context)
      : StreamReactor(parts, Method::kGenerateMasks, context) {}

  void Start(const grpc::ByteBuffer& bytes) {
    v1::GenerateMasksRequest request;
    if (absl::Status status = scope().Receive(bytes, request); !status.ok()) return Fail(status);
    const absl::StatusOr<GenerateRequest> converted = FromProto(request);
    if (!converted.ok()) return Fail(converted.status());
    StreamReactor::Start([&] {
      return scope().parts().engine.GenerateMasks(
          *converted, scope().limits(),
          {.on_progress = [this](const CallProgress& progress) { OnProgress(progress); },
           .on_mask = [this](SegmentMask mask) { OnMask(std::move(mask)); },
           .on_done = [this](const absl::StatusOr<GenerateSummary>& summary) { OnEnd(summary); }});
    });
  }

 private:
  void OnProgress(const CallProgress& progress) {
    v1::GenerateMasksResponse response;
    *response.mutable_progress() = ToProto(progress);
    SendProgress(response);
  }

  void OnMask(SegmentMask mask) {
    const int64_t bytes = mask.size_bytes();
    v1::GenerateMasksResponse response;
    *response.mutable_mask() = ToProto(std::move(mask));
    Send(response, bytes);
  }

  void OnEnd(const absl::StatusOr<GenerateSummary>& summary) {
    if (!summary.ok()) return Fail(summary.status());
    v1::GenerateMasksResponse response;
    *response.mutable_summary() = ToProto(*summary);
    SendLast(response);
  }
};

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* SegmentVocabulary(const RpcParts& parts,
                                                              grpc::CallbackServerContext& context,
                                                              const grpc::ByteBuffer& request) {
  auto* reactor = new VocabularyReactor(parts, context);
  reactor->Start(request);
  return reactor;
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* GenerateMasks(const RpcParts& parts,
                                                          grpc::CallbackServerContext& context,
                                                          const grpc::ByteBuffer& request) {
  auto* reactor = new GenerateReactor(parts, context);
  reactor->Start(request);
  return reactor;
}

}  // namespace semsam
