// The calls of the engine that take long: admission, then a call object that
// carries itself on.
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/engine.h"
#include "server/pipeline/request_validation.h"

namespace semsam {
namespace {

absl::Status ValidateVocabulary(const VocabularyCallRequest& request, const ModelConfig& config,
                                const VocabularyLimits& limits) {
  const bool objects = !request.things.empty() || !request.stuff.empty();
  const bool parts = !request.parts.empty();
  if (!config.capabilities.vocabulary) {
    return CapabilityMissing(!request.things.empty()  ? "things"
                             : !request.stuff.empty() ? "stuff"
                             : parts                  ? "parts"
                                                      : "things",
                             "the loaded model cannot segment by words");
  }
  if (parts && !config.capabilities.part_labels) {
    return CapabilityMissing("parts", "the loaded model cannot name parts");
  }
  if (!objects && !parts) return InvalidField("things", "there is no word in any list");
  const VocabularyOptions& options = request.options;
  if (!objects && options.semantic) {
    return InvalidField("options.semantic", "needs words in things or stuff");
  }
  if (!objects && options.panoptic) {
    return InvalidField("options.panoptic", "needs words in things or stuff");
  }
  if (options.max_instances > static_cast<uint32_t>(limits.max_instances)) {
    return InvalidField("options.max_instances",
                        absl::StrCat("must be at most ", limits.max_instances),
                        reason::kLimitExceeded);
  }
  for (const auto& [value, field] :
       {std::pair{options.min_score, "options.min_score"},
        std::pair{options.max_duplicate_iou, "options.max_duplicate_iou"},
        std::pair{options.object_threshold, "options.object_threshold"},
        std::pair{options.overlap_threshold, "options.overlap_threshold"}}) {
    SEMSAM_RETURN_IF_ERROR(CheckUnitInterval(value, field));
  }
  if (options.temperature.has_value() &&
      !(std::isfinite(*options.temperature) && *options.temperature >= 0)) {
    return InvalidField("options.temperature", "must be finite and not negative");
  }
  return CheckRegionEncoding(options.encoding);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ByteBudget::Reservation>> Engine::ReserveResult(int64_t bytes,
                                                                               const char* field) {
  if (bytes > options_.result_buffer_bytes) {
    return InvalidField(field, "asks for more memory than the server sets aside for results",
                        reason::kLimitExceeded);
  }
  auto memory = std::make_unique<ByteBudget::Reservation>(result_budget_);
  if (!memory->GrowTo(bytes)) {
    return Overloaded(reason::kMemoryFull, "the results of the calls under way fill the memory",
                      options_.retry_after);
  }
  return memory;
}

absl::StatusOr<VocabularyWords> Engine::CleanVocabulary(
    const VocabularyCallRequest& request) const {
  if (request.stuff.model_vocabulary) {
    return InvalidField("stuff.model_vocabulary", "a model's own objects are things");
  }
  const ModelVocabulary& own = model().vocabulary;
  SEMSAM_ASSIGN_OR_RETURN(const UserWords things,
                          ResolveWords(request.things, "things", own.objects, own));
  SEMSAM_ASSIGN_OR_RETURN(const UserWords stuff, ResolveWords(request.stuff, "stuff", {}, own));
  SEMSAM_ASSIGN_OR_RETURN(const UserWords parts,
                          ResolveWords(request.parts, "parts", own.parts, own));
  VocabularyWords words;
  SEMSAM_ASSIGN_OR_RETURN(words.things, CleanWords(things, "things", options_.words));
  WordLimits rest = options_.words;
  rest.max_words -= static_cast<int>(things.words.size());
  SEMSAM_ASSIGN_OR_RETURN(words.stuff, CleanWords(stuff, "stuff", rest, &words.things));
  SEMSAM_ASSIGN_OR_RETURN(words.parts, CleanWords(parts, "parts", options_.words));
  return words;
}

absl::StatusOr<Engine::AdmittedVocabulary> Engine::Admit(const VocabularyCallRequest& request,
                                                         const TenantId& tenant) {
  const ModelConfig& config = model().config;
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  SEMSAM_RETURN_IF_ERROR(ValidateVocabulary(request, config, options_.vocabulary));
  SEMSAM_ASSIGN_OR_RETURN(StoredImage stored, sessions_.FindImage(tenant, request.image.session_id,
                                                                  request.image.image_id));
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, background_gate_.Admit(tenant, /*queries=*/0));
  VocabularyCall::Task task{
      .image_id = stored.image_id, .retry_after = options_.retry_after, .options = request.options};
  SEMSAM_ASSIGN_OR_RETURN(task.words, CleanVocabulary(request));
  const int64_t words = int64_t{task.words.objects()} + task.words.parts.size();
  SEMSAM_ASSIGN_OR_RETURN(task.word_memory,
                          ReserveWords(words, config, word_budget_, options_.retry_after));
  SEMSAM_ASSIGN_OR_RETURN(task.result_memory, ReserveResult(VocabularyBytes(config, stored.geometry,
                                                                            request.options, words),
                                                            "options.resolution"));
  task.image = TakeSource(stored);
  return AdmittedVocabulary{.ticket = std::move(ticket), .task = std::move(task)};
}

std::shared_ptr<StreamHandle> Engine::SegmentVocabulary(const VocabularyCallRequest& request,
                                                        CallLimits limits, VocabularySink sink) {
  absl::StatusOr<AdmittedVocabulary> admitted = Admit(request, limits.tenant);
  if (!admitted.ok()) {
    sink.on_done(std::move(admitted).status());
    return nullptr;
  }
  const uint64_t place = admitted->ticket.id();
  auto call = std::make_shared<VocabularyCall>(Parts(), std::move(admitted->ticket),
                                               std::move(admitted->task), std::move(limits),
                                               std::move(sink));
  background_gate_.SetCall(place, call);
  call->Start();
  return call;
}

absl::StatusOr<Engine::AdmittedGenerate> Engine::Admit(const GenerateRequest& request,
                                                       const TenantId& tenant) {
  const ModelConfig& config = model().config;
  SEMSAM_RETURN_IF_ERROR(CheckNotDraining());
  if (!config.capabilities.click_prompts) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kCapabilityMissing,
                           "the loaded model takes no prompts");
  }
  SEMSAM_RETURN_IF_ERROR(ValidateGenerate(request.options, config, options_.generate));
  SEMSAM_ASSIGN_OR_RETURN(StoredImage stored, sessions_.FindImage(tenant, request.image.session_id,
                                                                  request.image.image_id));
  SEMSAM_ASSIGN_OR_RETURN(CallGate::Ticket ticket, background_gate_.Admit(tenant, /*queries=*/0));
  GenerateCall::Task task{.session_id = request.image.session_id,
                          .image_id = stored.image_id,
                          .options = request.options};
  SEMSAM_ASSIGN_OR_RETURN(task.labels, Plan(request.labels));
  SEMSAM_ASSIGN_OR_RETURN(task.memory,
                          ReserveResult(GenerateBytes(config, stored.geometry, request.options),
                                        "options.points_per_chunk"));
  task.image = TakeSource(stored);
  return AdmittedGenerate{.ticket = std::move(ticket), .task = std::move(task)};
}

std::shared_ptr<StreamHandle> Engine::GenerateMasks(const GenerateRequest& request,
                                                    CallLimits limits, GenerateSink sink) {
  absl::StatusOr<AdmittedGenerate> admitted = Admit(request, limits.tenant);
  if (!admitted.ok()) {
    sink.on_done(std::move(admitted).status());
    return nullptr;
  }
  const uint64_t place = admitted->ticket.id();
  auto call =
      std::make_shared<GenerateCall>(Parts(), std::move(admitted->ticket),
                                     std::move(admitted->task), std::move(limits), std::move(sink));
  background_gate_.SetCall(place, call);
  call->Start();
  return call;
}

}  // namespace semsam
