// Every bound of the engine in one place.
#ifndef SEMSAM_SERVER_PIPELINE_ENGINE_OPTIONS_H_
#define SEMSAM_SERVER_PIPELINE_ENGINE_OPTIONS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "model/base/model_config.h"
#include "server/batching/tenant_table.h"
#include "server/cache/recent_requests.h"
#include "server/cache/session_store.h"
#include "server/pipeline/image_stages.h"
#include "server/pipeline/request_validation.h"
#include "server/pipeline/tier_options.h"
#include "server/pipeline/words.h"

namespace semsam {

struct VocabularyLimits {
  int max_instances = 1000;  // pairs of region and word that a call may ask for
};

struct GenerateLimits {
  int max_points_per_side = 64;
  int max_points_per_chunk = 256;
};

// Streams of clicks, see interact_calls.h.
struct InteractLimits {
  int max_streams = 256;                       // open at a time
  int max_open_clicks = 16;                    // a stream
  int64_t window_bytes = int64_t{1} << 20;     // of masks that a stream has on their way
  absl::Duration max_age = absl::Minutes(30);  // then a stream ends
};

struct EngineOptions {
  ImageLimits image;
  PromptLimits prompts;
  SessionStoreOptions sessions;
  RecentRequestsOptions requests;
  TenantTable tenants;  // what each may hold, beside what the server may
  // Where there is such a table: of calls under way, of queues and of images being encoded,
  // what one tenant may have, whatever its row says. 1: all.
  double max_tenant_share = 0.5;

  int64_t cache_bytes = int64_t{4} << 30;            // embeddings on each device
  TierOptions tiers;                                 // where they go from there
  int64_t upload_buffer_bytes = int64_t{512} << 20;  // images being uploaded or sent along
  int64_t max_chunk_bytes = int64_t{256} << 10;      // of one upload message

  int max_segment_calls = 256;         // under way, from admission to the last mask
  int64_t max_segment_queries = 4096;  // of those calls together
  int max_queued_images = 64;          // uploads to read, and images to encode
  int64_t max_batch_queries = 384;     // a decoder call
  int64_t max_batch_images = 1;        // an encoder call
  // How long an image may wait behind clicks before it takes turns with them; 0: no bound.
  absl::Duration max_encode_wait = absl::Seconds(10);
  // With several devices: how much longer than on the least busy one an image may wait for
  // its own before it goes there.
  absl::Duration spill_after = absl::Milliseconds(100);
  int cpu_threads = 2;  // reading images, finishing masks

  WordLimits words;
  int64_t text_cache_bytes = int64_t{64} << 20;    // text embeddings by word
  int64_t word_buffer_bytes = int64_t{256} << 20;  // those of the calls under way
  int64_t max_batch_texts = 512;                   // a text encoder call

  VocabularyLimits vocabulary;
  GenerateLimits generate;
  InteractLimits interact;
  int max_background_calls = 8;                    // of both kinds, under way
  int result_threads = 1;                          // working on those answers
  int64_t result_buffer_bytes = int64_t{1} << 30;  // the model's answers to them

  absl::Duration default_deadline = absl::Seconds(30);  // of a short call that sets none
  absl::Duration max_deadline = absl::Minutes(5);       // of any call
  bool deadline_admission = true;  // refuse what clearly cannot be in time, before work
  absl::Duration retry_after = absl::Milliseconds(250);

  // max_tenant_share, or 1 where tenants are not told apart.
  double TenantShare() const { return tenants.rows().empty() ? 1 : max_tenant_share; }

  // OK, or INVALID_ARGUMENT that names the first bad field. `config` is the model
  // that will run: the largest request must fit.
  absl::Status Validate(const ModelConfig& config) const;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_ENGINE_OPTIONS_H_
