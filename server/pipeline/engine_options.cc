#include "server/pipeline/engine_options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {

absl::Status EngineOptions::Validate(const ModelConfig& config) const {
  const std::pair<const char*, int64_t> positive[] = {
      {"image.max_bytes", image.max_bytes},
      {"image.max_pixels", image.max_pixels},
      {"image.max_elongation", image.max_elongation},
      {"prompts.max_prompts", prompts.max_prompts},
      {"prompts.max_tag_bytes", prompts.max_tag_bytes},
      {"max_chunk_bytes", max_chunk_bytes},
      {"max_segment_calls", max_segment_calls},
      {"max_queued_images", max_queued_images},
      {"max_batch_queries", max_batch_queries},
      {"max_batch_images", max_batch_images},
      {"cpu_threads", cpu_threads},
      {"words.max_words", words.max_words},
      {"words.max_characters", words.max_characters},
      {"max_batch_texts", max_batch_texts},
      {"vocabulary.max_instances", vocabulary.max_instances},
      {"generate.max_points_per_side", generate.max_points_per_side},
      {"generate.max_points_per_chunk", generate.max_points_per_chunk},
      {"interact.max_streams", interact.max_streams},
      {"interact.max_open_clicks", interact.max_open_clicks},
      {"interact.window_bytes", interact.window_bytes},
      {"max_background_calls", max_background_calls},
      {"result_threads", result_threads},
      {"result_buffer_bytes", result_buffer_bytes},
  };
  for (const auto& [field, value] : positive) {
    if (value <= 0) return InvalidField(field, "must be positive");
  }
  if (cache_bytes < 0) return InvalidField("cache_bytes", "must not be negative");
  if (text_cache_bytes < 0) return InvalidField("text_cache_bytes", "must not be negative");
  // Two lists: objects or things and stuff, and parts.
  if (word_buffer_bytes < WordBytes(2 * int64_t{words.max_words}, config.decoder.text_dim)) {
    return InvalidField("word_buffer_bytes", "must hold two lists of words.max_words");
  }
  // Their square is computed with.
  if (generate.max_points_per_side > 1024) {
    return InvalidField("generate.max_points_per_side", "must be at most 1024");
  }
  if (upload_buffer_bytes < image.max_bytes) {
    return InvalidField("upload_buffer_bytes", "must hold one image of image.max_bytes");
  }
  const int64_t largest = int64_t{prompts.max_prompts} * config.decoder.tokens;
  if (max_segment_queries < largest) {
    return InvalidField("max_segment_queries",
                        absl::StrCat("must hold the largest request, ", largest, " queries"));
  }
  // Written so that a NaN is refused.
  if (!(max_tenant_share > 0 && max_tenant_share <= 1)) {
    return InvalidField("max_tenant_share", "must be above 0 and at most 1");
  }
  if (default_deadline <= absl::ZeroDuration()) {
    return InvalidField("default_deadline", "must be positive");
  }
  if (max_encode_wait < absl::ZeroDuration()) {
    return InvalidField("max_encode_wait", "must not be negative");
  }
  if (spill_after < absl::ZeroDuration()) {
    return InvalidField("spill_after", "must not be negative");
  }
  if (max_deadline < default_deadline) {
    return InvalidField("max_deadline", "must not be below default_deadline");
  }
  if (interact.max_age <= absl::ZeroDuration()) {
    return InvalidField("interact.max_age", "must be positive");
  }
  if (retry_after < absl::ZeroDuration()) {
    return InvalidField("retry_after", "must not be negative");
  }
  for (const auto& [name, quota] : tenants.rows()) {
    if (quota.max_queries < largest) {
      return InvalidField("tenants",
                          absl::StrCat("max_queries of ", name, " must hold the largest request, ",
                                       largest, " queries"));
    }
    if (quota.max_upload_bytes < image.max_bytes) {
      return InvalidField("tenants",
                          absl::StrCat("max_upload_mib of ", name, " must hold the largest image, ",
                                       image.max_bytes, " bytes"));
    }
  }
  SEMSAM_RETURN_IF_ERROR(tiers.Validate());
  SEMSAM_RETURN_IF_ERROR(PrependField(requests.Validate(), "requests"));
  return PrependField(sessions.Validate(), "sessions");
}

}  // namespace semsam
