// What is kept between calls: embeddings, sessions, and what sessions own.
#include <cstdint>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "server/app/flags/topics.h"

ABSL_FLAG(int64_t, cache_mib, 4096, "MiB of embeddings kept while nobody uses them");
ABSL_FLAG(int64_t, text_cache_bytes, int64_t{64} << 20,
          "bytes of text embeddings kept, by word; a word takes about 2.5 kB");
ABSL_FLAG(int64_t, retained_image_mib, 1024,
          "MiB of uploaded images kept to encode them again when their embedding was evicted");
ABSL_FLAG(int, max_unlisted_images, 4096,
          "images that no session lists any more, known by their digest without their bytes so "
          "that AttachImage finds their embedding");
ABSL_FLAG(int64_t, mask_query_mib, 256, "MiB that all sessions together keep for new labels");
ABSL_FLAG(int, max_labelled_masks, 4096,
          "masks a session keeps for new labels (RefreshLabels); the oldest go first");
ABSL_FLAG(absl::Duration, request_id_ttl, absl::Minutes(10),
          "how long a request that carries a request_id is not carried out again");
ABSL_FLAG(int, max_recent_requests, 4096, "requests remembered by their request_id");
ABSL_FLAG(int, max_sessions, 1024, "sessions at a time");
ABSL_FLAG(int, max_images_per_session, 32, "images a session");
ABSL_FLAG(absl::Duration, session_ttl, absl::Minutes(10), "idle time after which a session ends");
ABSL_FLAG(absl::Duration, max_session_ttl, absl::Hours(1),
          "longest idle time a client may ask for");
ABSL_FLAG(absl::Duration, max_session_age, absl::Hours(8), "time after which any session ends");

namespace semsam {

void ReadCacheFlags(ServerOptions& options) {
  EngineOptions& engine = options.engine;
  engine.cache_bytes = MebibytesFlag(FLAGS_cache_mib);
  engine.text_cache_bytes = absl::GetFlag(FLAGS_text_cache_bytes);
  engine.sessions.max_retained_bytes = MebibytesFlag(FLAGS_retained_image_mib);
  engine.sessions.max_unlisted_images = absl::GetFlag(FLAGS_max_unlisted_images);
  engine.sessions.max_mask_query_bytes = MebibytesFlag(FLAGS_mask_query_mib);
  engine.sessions.max_labelled_masks = absl::GetFlag(FLAGS_max_labelled_masks);
  engine.requests.ttl = absl::GetFlag(FLAGS_request_id_ttl);
  engine.requests.max_entries = absl::GetFlag(FLAGS_max_recent_requests);
  engine.sessions.max_sessions = absl::GetFlag(FLAGS_max_sessions);
  engine.sessions.max_images_per_session = absl::GetFlag(FLAGS_max_images_per_session);
  engine.sessions.default_ttl = absl::GetFlag(FLAGS_session_ttl);
  engine.sessions.max_ttl = absl::GetFlag(FLAGS_max_session_ttl);
  engine.sessions.max_age = absl::GetFlag(FLAGS_max_session_age);
}

}  // namespace semsam
