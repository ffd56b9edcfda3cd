// The calls of the engine that segment and label: admission, then a call object
// that carries itself on.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/interact_calls.h"
#include "server/pipeline/request_validation.h"

namespace semsam {
namespace {

// `bytes` with the memory that is set aside for them: both go at the same time,
// whoever holds the bytes last.
std::shared_ptr<const std::string> HoldBytes(std::string bytes, ByteBudget::Reservation memory) {
  struct Held {
    ByteBudget::Reservation memory;
    std::string bytes;
  };
  auto held = std::make_shared<const Held>(Held{std::move(memory), std::move(bytes)});
  return {held, &held->bytes};
}

}  // namespace

CallParts Engine::Parts() {
  return {stages_, sessions_, cpu_, models_, encoder_, words_, clock_, metrics_};
}

absl::StatusOr<LabelPlan> Engine::Plan(const LabelOptions& labels) {
  return PlanLabels(labels, model(), options_.words, word_budget_, options_.retry_after);
}

absl::Status Engine::CheckInlineImage(const std::string& bytes) const {
  if (bytes.empty()) return InvalidField("image_bytes", "the image is empty");
  if (static_cast<int64_t>(bytes.size()) <= options_.image.max_bytes) return absl::OkStatus();
  return InvalidField("image_bytes",
                      absl::StrCat("the image is larger than ", options_.image.max_bytes, " bytes"),
                      reason::kImageTooLarge);
}

absl::Status Engine::CheckDevice(const SegmentRequest& request) const {
  if (!request.device.has_value()) return absl::OkStatus();
  return *request.device >= 0 && *request.device < devices()
             ? absl::OkStatus()
             : InvalidField("device", absl::StrCat("there are ", devices()));
}

absl::StatusOr<Engine::Admitted> Engine::Admit(const SegmentRequest& request,
                                               const TenantId& tenant) {
  const ModelConfig& config = model().config;
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_RETURN_IF_ERROR(ValidatePrompts(request.prompts, config, options_.prompts));
  SEMSAM_RETURN_IF_ERROR(ValidateOptions(request.options, config));
  SEMSAM_RETURN_IF_ERROR(CheckDevice(request));
  StoredImage stored;
  std::vector<Prompt> prompts;
  if (const auto* reference = std::get_if<ImageReference>(&request.image)) {
    SEMSAM_ASSIGN_OR_RETURN(
        stored, sessions_.FindImage(tenant, reference->session_id, reference->image_id));
    SEMSAM_ASSIGN_OR_RETURN(prompts,
                            ToModelPrompts(request.prompts, stored.geometry.original, config));
  } else {
    SEMSAM_RETURN_IF_ERROR(CheckInlineImage(std::get<std::string>(request.image)));
  }
  const int64_t queries = static_cast<int64_t>(request.prompts.size()) * config.decoder.tokens;
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, gate_.Admit(tenant, queries));
  SEMSAM_ASSIGN_OR_RETURN(LabelPlan labels, Plan(request.labels));
  // Pictures that wait to be read share one budget, however they come.
  ByteBudget::Reservation inline_memory(upload_budget_, tenant);
  if (const auto* bytes = std::get_if<std::string>(&request.image); bytes != nullptr) {
    SEMSAM_RETURN_IF_ERROR(
        GrowUpload(inline_memory, static_cast<int64_t>(bytes->size()), options_.retry_after));
  }
  return Admitted{.ticket = std::move(ticket),
                  .inline_memory = std::move(inline_memory),
                  .image_id = std::move(stored.image_id),
                  .image = TakeSource(stored),
                  .prompts = std::move(prompts),
                  .labels = std::move(labels)};
}

std::shared_ptr<StreamHandle> Engine::Segment(SegmentRequest request, CallLimits limits,
                                              SegmentSink sink) {
  absl::StatusOr<Admitted> admitted = Admit(request, limits.tenant);
  if (!admitted.ok()) {
    sink.on_done(std::move(admitted).status());
    return nullptr;
  }
  auto* reference = std::get_if<ImageReference>(&request.image);
  SegmentCall::Task task{.session_id = reference != nullptr ? reference->session_id : "",
                         .prompts = std::move(request.prompts),
                         .options = std::move(request.options),
                         .labels = std::move(admitted->labels),
                         .device = request.device};
  // The call takes its place along; the gate finds the call through it.
  const uint64_t place = admitted->ticket.id();
  auto call = std::make_shared<SegmentCall>(Parts(), std::move(admitted->ticket), std::move(task),
                                            std::move(limits), std::move(sink));
  gate_.SetCall(place, call);
  if (std::string* bytes = std::get_if<std::string>(&request.image)) {
    call->StartWithBytes(HoldBytes(std::move(*bytes), std::move(admitted->inline_memory)));
  } else {
    call->StartWithImage(std::move(admitted->image_id), std::move(admitted->image),
                         std::move(admitted->prompts));
  }
  return call;
}

absl::StatusOr<std::shared_ptr<InteractCalls>> Engine::Interact(const TenantId& tenant,
                                                                InteractSink sink) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  auto stream =
      std::make_shared<InteractCalls>(*this, interact_streams_, metrics_, tenant, std::move(sink));
  SEMSAM_RETURN_IF_ERROR(interact_streams_.Add(stream));
  // A drain that began in between did not know of this stream.
  if (absl::Status status = CheckNotDraining(); !status.ok()) stream->Close(std::move(status));
  return stream;
}

absl::StatusOr<std::shared_ptr<RefreshCall>> Engine::AdmitRefresh(
    const RefreshLabelsRequest& request, CallLimits& limits, RefreshDone& done) {
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  if (request.mask_ids.empty()) return InvalidField("mask_ids", "must not be empty");
  const size_t most = options_.sessions.max_labelled_masks;
  if (request.mask_ids.size() > most) {
    return InvalidField(
        "mask_ids",
        absl::StrCat("has ", request.mask_ids.size(), " entries; at most ", most, " are allowed"),
        reason::kLimitExceeded);
  }
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, gate_.Admit(limits.tenant, /*queries=*/0));
  SEMSAM_ASSIGN_OR_RETURN(LabelPlan labels, Plan(request.labels));
  if (!labels.wanted()) return InvalidField("labels", "needs a list of words");
  SEMSAM_ASSIGN_OR_RETURN(
      std::vector<float> queries,
      sessions_.FindQueries(limits.tenant, request.session_id, request.mask_ids));
  RefreshCall::Task task{.queries = std::move(queries),
                         .masks = request.mask_ids.size(),
                         .labels = std::move(labels),
                         .max_answer_bytes = request.max_answer_bytes};
  return std::make_shared<RefreshCall>(Parts(), std::move(ticket), std::move(task),
                                       std::move(limits), std::move(done));
}

void Engine::RefreshLabels(const RefreshLabelsRequest& request, CallLimits limits,
                           RefreshDone done) {
  absl::StatusOr<std::shared_ptr<RefreshCall>> call = AdmitRefresh(request, limits, done);
  if (!call.ok()) return done(std::move(call).status());
  (*call)->Start();
}

}  // namespace semsam
