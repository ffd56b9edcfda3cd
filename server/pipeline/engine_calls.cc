// The calls of the engine that segment and label: admission, then a call object
// that carries itself on.
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/request_validation.h"

namespace semsam {

CallParts Engine::Parts() {
  return {segmenter_, stages_, sessions_, cpu_, worker_, encoder_, words_, clock_, metrics_};
}

absl::StatusOr<LabelPlan> Engine::Plan(const LabelOptions& labels) {
  return PlanLabels(labels, model(), options_.words, word_budget_, options_.retry_after);
}

absl::StatusOr<Engine::Admitted> Engine::Admit(const SegmentRequest& request,
                                               const TenantId& tenant) {
  const ModelConfig& config = model().config;
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_RETURN_IF_ERROR(ValidatePrompts(request.prompts, config, options_.prompts));
  SEMSAM_RETURN_IF_ERROR(ValidateOptions(request.options, config));
  StoredImage stored;
  std::vector<Prompt> prompts;
  if (const auto* reference = std::get_if<ImageReference>(&request.image)) {
    SEMSAM_ASSIGN_OR_RETURN(
        stored, sessions_.FindImage(tenant, reference->session_id, reference->image_id));
    SEMSAM_ASSIGN_OR_RETURN(prompts,
                            ToModelPrompts(request.prompts, stored.geometry.original, config));
  } else if (std::get<std::string>(request.image).empty()) {
    return InvalidField("image_bytes", "the image is empty");
  }
  const int64_t queries = static_cast<int64_t>(request.prompts.size()) * config.decoder.tokens;
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, gate_.Admit(queries));
  SEMSAM_ASSIGN_OR_RETURN(LabelPlan labels, Plan(request.labels));
  return Admitted{.ticket = std::move(ticket),
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
                         .labels = std::move(admitted->labels)};
  // The call takes its place along; the gate finds the call through it.
  const uint64_t place = admitted->ticket.id();
  auto call = std::make_shared<SegmentCall>(Parts(), std::move(admitted->ticket), std::move(task),
                                            std::move(limits), std::move(sink));
  gate_.SetCall(place, call);
  if (std::string* bytes = std::get_if<std::string>(&request.image)) {
    call->StartWithBytes(std::move(*bytes));
  } else {
    call->StartWithImage(std::move(admitted->image_id), std::move(admitted->image),
                         std::move(admitted->prompts));
  }
  return call;
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
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, gate_.Admit(/*queries=*/0));
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
