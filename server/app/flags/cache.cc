// What is kept between calls: embeddings, sessions, and what sessions own.
#include <cstdint>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "model/segmenter.h"
#include "server/app/flags/topics.h"

namespace semsam {
namespace {

constexpr std::pair<StorageFormat, const char*> kStorageFormats[] = {
    {StorageFormat::kFp32, "fp32"}, {StorageFormat::kFp16, "fp16"}, {StorageFormat::kInt8, "int8"}};

}  // namespace

// Found by the flags library next to the type.
bool AbslParseFlag(absl::string_view text, StorageFormat* format, std::string* error) {
  for (const auto& [value, name] : kStorageFormats) {
    if (text != name) continue;
    *format = value;
    return true;
  }
  *error = "must be fp32, fp16 or int8";
  return false;
}

std::string AbslUnparseFlag(StorageFormat format) {
  for (const auto& [value, name] : kStorageFormats) {
    if (value == format) return name;
  }
  return "";
}

}  // namespace semsam

ABSL_FLAG(int64_t, cache_mib, 4096, "MiB of embeddings on each device, in use and kept for later");
ABSL_FLAG(int64_t, host_cache_mib, 0,
          "MiB of host memory for embeddings that the device has no room for; 0: none");
ABSL_FLAG(std::string, disk_cache_dir, "",
          "directory for embeddings that the device has no room for, of this server alone; a "
          "restarted server finds them there");
ABSL_FLAG(int64_t, disk_cache_mib, 16384, "MiB of files in --disk_cache_dir");
ABSL_FLAG(semsam::StorageFormat, embedding_storage, semsam::StorageFormat::kFp16,
          "how embeddings are kept there: fp32 as they are, fp16 in half the bytes, int8 in a "
          "quarter");
ABSL_FLAG(int64_t, demotion_mib, 512,
          "MiB of embeddings on the devices, beside --cache_mib, that wait to be stored there");
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
  engine.tiers.host_cache_bytes = MebibytesFlag(FLAGS_host_cache_mib);
  engine.tiers.disk_cache_dir = absl::GetFlag(FLAGS_disk_cache_dir);
  engine.tiers.disk_cache_bytes = MebibytesFlag(FLAGS_disk_cache_mib);
  engine.tiers.storage = absl::GetFlag(FLAGS_embedding_storage);
  engine.tiers.max_demotion_bytes = MebibytesFlag(FLAGS_demotion_mib);
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
