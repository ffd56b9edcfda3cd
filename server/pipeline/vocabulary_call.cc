#include "server/pipeline/vocabulary_call.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {

VocabularyCall::VocabularyCall(const CallParts& parts, CallGate::Ticket ticket, Task task,
                               CallLimits limits, VocabularySink sink)
    : StreamCall(parts, std::move(ticket), std::move(limits), sink.window_bytes, CpuPool::kResults),
      task_(std::move(task)),
      sink_(std::move(sink)) {}

void VocabularyCall::Start() {
  std::vector<WordTable*> tables;
  for (WordTable* table : {&task_.words.things, &task_.words.stuff, &task_.words.parts}) {
    if (table->size() > 0) tables.push_back(table);
  }
  EncodeWords(tables, sink_.on_progress, summary_.timings, [this] {
    EncodeImage(task_.image, task_.image_id, ImageEncoder::Thread::kAny, summary_.timings,
                [this](PlacedEmbedding image) { Run(std::move(image)); });
  });
}

void VocabularyCall::Run(PlacedEmbedding image) {
  OnModel(*image.worker, [this, embedding = std::move(image.embedding)](
                             Segmenter& segmenter, absl::Duration queued) mutable {
    const VocabularyWords& words = task_.words;
    VocabularyRequest request{.embedding = std::move(embedding),
                              .object_text = words.things.embeddings,
                              .part_text = words.parts.embeddings};
    request.object_text.insert(request.object_text.end(), words.stuff.embeddings.begin(),
                               words.stuff.embeddings.end());
    const absl::Time start = Now();
    std::vector<absl::StatusOr<VocabularyResult>> results = segmenter.SegmentVocabulary({request});
    summary_.timings.decode_queue = queued;
    summary_.timings.decode = Now() - start;
    parts().metrics.RecordStage(Stage::kVocabulary, *summary_.timings.decode);
    request = {};  // the embedding is no longer in use
    results.resize(1, absl::InternalError("the model left out a result"));
    OnResult(std::move(results.front()));
  });
}

void VocabularyCall::OnResult(absl::StatusOr<VocabularyResult> result) {
  if (!result.ok()) return Finish(std::move(result).status());
  result_ = *std::move(result);
  OnCpuPool(CpuPool::kResults, [this] { Infer(); });
}

void VocabularyCall::Infer() {
  const absl::Time start = Now();
  absl::Status status = InferAnswer();
  result_ = {};
  if (status.ok()) status = KeepAnswer();
  summary_.timings.postprocess = Now() - start;
  parts().metrics.RecordStage(Stage::kRegions, *summary_.timings.postprocess);
  if (!status.ok()) {
    // Inference knows that it was to stop; the limits know why.
    if (absl::Status why = Alive(); !why.ok()) status = std::move(why);
    return Finish(std::move(status));
  }
  SubmitSteps();
}

absl::Status VocabularyCall::InferAnswer() {
  SEMSAM_RETURN_IF_ERROR(CheckVocabularyShape(result_, task_.words));
  SEMSAM_RETURN_IF_ERROR(parts().stages.CheckGeometry(task_.image.geometry, result_.grid));
  SEMSAM_ASSIGN_OR_RETURN(
      answer_, InferRegions(result_, task_.image.geometry, task_.words, task_.options,
                            parts().config(), [this] { return !limits().Check(Now()).ok(); }));
  if (answer_.panoptic.has_value() && answer_.panoptic->size_bytes() > sink_.max_item_bytes) {
    return InvalidField("options.resolution",
                        absl::StrCat("the panoptic map takes ", answer_.panoptic->size_bytes(),
                                     " bytes, and a message holds ", sink_.max_item_bytes,
                                     "; ask for the resolution of the network"),
                        reason::kLimitExceeded);
  }
  return absl::OkStatus();
}

absl::Status VocabularyCall::KeepAnswer() {
  const int64_t bytes = answer_.size_bytes();
  if (!task_.result_memory->GrowTo(bytes)) {
    return Overloaded(reason::kMemoryFull, "the results of the calls under way fill the memory",
                      task_.retry_after);
  }
  task_.result_memory->ShrinkTo(bytes);
  return absl::OkStatus();
}

template <typename Item>
void VocabularyCall::Emit(Item item, absl::AnyInvocable<void(Item)>& sink) {
  CountSent(item.size_bytes());
  sink(std::move(item));
}

absl::Status VocabularyCall::Step() {
  if (next_region_ == answer_.regions.size()) {
    PanopticPicture picture = *std::move(answer_.panoptic);
    answer_.panoptic.reset();
    Emit(std::move(picture), sink_.on_panoptic);
    return absl::OkStatus();
  }
  const absl::Time start = Now();
  SEMSAM_ASSIGN_OR_RETURN(VocabularySegment segment,
                          MakeSegment(std::move(answer_.regions[next_region_++])));
  *summary_.timings.postprocess += Now() - start;
  parts().metrics.RecordStage(Stage::kMaskEncode, Now() - start);
  parts().metrics.RecordMaskBytes(segment.mask.data.size_bytes());
  ++summary_.segments_sent;
  Emit(std::move(segment), sink_.on_segment);
  return absl::OkStatus();
}

absl::StatusOr<VocabularySegment> VocabularyCall::MakeSegment(Region region) {
  SEMSAM_ASSIGN_OR_RETURN(MaskData data,
                          parts().stages.Encode(region.mask, task_.options.encoding));
  return VocabularySegment{.kind = region.kind,
                           .name = std::move(region.name),
                           .word_index = region.word_index,
                           .is_thing = region.is_thing,
                           .score = region.score,
                           .mask = {.area = MaskArea(region.mask),
                                    .box = BoundingBox(region.mask),
                                    .size = region.mask.size,
                                    .data = std::move(data)}};
}

void VocabularyCall::OnEnd(absl::Status status) {
  summary_.image_size = task_.image.geometry.original;
  result_ = {};
  answer_ = {};
  task_ = {};
  LeaveGate();
  VocabularySink sink = std::move(sink_);
  if (status.ok()) {
    sink.on_done(summary_);
  } else {
    sink.on_done(std::move(status));
  }
}

}  // namespace semsam
