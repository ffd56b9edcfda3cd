#include "server/app/server_flags.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/time/time.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "where to serve gRPC: HOST:PORT (port 0 picks a free one) or unix:PATH");
ABSL_FLAG(std::string, port_file, "", "file that gets the port once the server listens");
ABSL_FLAG(std::string, metrics_listen, "",
          "where to serve Prometheus metrics: HOST:PORT; empty serves none");
ABSL_FLAG(absl::Duration, drain_grace, absl::Seconds(25),
          "how long running calls may go on after SIGTERM");

ABSL_FLAG(int, cpu_threads, 0, "threads that read images and finish masks; 0 takes one a core");
ABSL_FLAG(int64_t, cache_mib, 4096, "MiB of embeddings kept while nobody uses them");
ABSL_FLAG(int64_t, retained_image_mib, 1024,
          "MiB of uploaded images kept to encode them again when their embedding was evicted");
ABSL_FLAG(int64_t, upload_buffer_mib, 512, "MiB of images being uploaded, all together");
ABSL_FLAG(int64_t, max_image_mib, 64, "MiB of one uploaded image");
ABSL_FLAG(int64_t, max_image_megapixels, 64, "megapixels of one image");
ABSL_FLAG(int64_t, max_message_mib, 4, "MiB of one received message, 16 at most");
ABSL_FLAG(int, max_prompts, 64, "prompts a request");
ABSL_FLAG(int, max_sessions, 1024, "sessions at a time");
ABSL_FLAG(int, max_images_per_session, 32, "images a session");
ABSL_FLAG(absl::Duration, session_ttl, absl::Minutes(10), "idle time after which a session ends");
ABSL_FLAG(absl::Duration, max_session_ttl, absl::Hours(1),
          "longest idle time a client may ask for");
ABSL_FLAG(absl::Duration, max_session_age, absl::Hours(8), "time after which any session ends");
ABSL_FLAG(int, max_segment_calls, 256, "segment calls under way");
ABSL_FLAG(int64_t, max_segment_queries, 4096, "queries of those calls; a prompt is six");
ABSL_FLAG(int, max_queued_images, 64, "images waiting to be read or encoded");
ABSL_FLAG(int64_t, max_batch_queries, 384, "queries a decoder call");
ABSL_FLAG(int64_t, max_batch_images, 1, "images an encoder call");
ABSL_FLAG(int64_t, text_cache_bytes, int64_t{64} << 20,
          "bytes of text embeddings kept, by word; a word takes about 2.5 kB");
ABSL_FLAG(int64_t, word_buffer_mib, 256, "MiB of text embeddings that calls under way work with");
ABSL_FLAG(int, max_words, 2000, "words a list");
ABSL_FLAG(int, max_word_characters, 64, "Unicode characters a word");
ABSL_FLAG(int64_t, max_batch_texts, 512,
          "texts a text encoder call; a word is one, or 81 with the prompt templates");
ABSL_FLAG(int, max_labelled_masks, 4096,
          "masks a session keeps for new labels (RefreshLabels); the oldest go first");
ABSL_FLAG(int64_t, mask_query_mib, 256, "MiB that all sessions together keep for new labels");
ABSL_FLAG(int, max_background_calls, 8, "GenerateMasks and SegmentVocabulary calls under way");
ABSL_FLAG(int, result_threads, 1, "threads that finish the answers to those calls");
ABSL_FLAG(int64_t, result_buffer_mib, 1024, "MiB of the model's answers to those calls");
ABSL_FLAG(int, max_points_per_side, 64, "points of GenerateMasks on a side");
ABSL_FLAG(int, max_points_per_chunk, 256, "points that GenerateMasks decodes at a time");
ABSL_FLAG(int, max_instances, 1000, "instances that SegmentVocabulary may be asked for");
ABSL_FLAG(absl::Duration, default_deadline, absl::Seconds(30),
          "deadline of a call that sets none; GenerateMasks and SegmentVocabulary take "
          "--max_deadline");
ABSL_FLAG(absl::Duration, max_deadline, absl::Minutes(5), "longest deadline of any call");

namespace semsam {
namespace {

int64_t MebibytesFlag(const absl::Flag<int64_t>& flag) {
  // Saturates, so that Validate sees a large number and not an overflown one.
  constexpr int64_t kMebibyte = int64_t{1} << 20;
  const int64_t value = absl::GetFlag(flag);
  return std::clamp(value, INT64_MIN / kMebibyte, INT64_MAX / kMebibyte) * kMebibyte;
}

int CpuThreads() {
  const int asked = absl::GetFlag(FLAGS_cpu_threads);
  return asked != 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

ServerOptions OptionsFromFlags() {
  ServerOptions options;
  options.rpc.listen = absl::GetFlag(FLAGS_listen);
  options.rpc.max_message_bytes = MebibytesFlag(FLAGS_max_message_mib);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  options.drain_grace = absl::GetFlag(FLAGS_drain_grace);

  EngineOptions& engine = options.engine;
  engine.cpu_threads = CpuThreads();
  engine.cache_bytes = MebibytesFlag(FLAGS_cache_mib);
  engine.upload_buffer_bytes = MebibytesFlag(FLAGS_upload_buffer_mib);
  engine.image.max_bytes = MebibytesFlag(FLAGS_max_image_mib);
  engine.image.max_pixels =
      std::clamp<int64_t>(absl::GetFlag(FLAGS_max_image_megapixels), 0, 1000000) * 1000000;
  engine.prompts.max_prompts = absl::GetFlag(FLAGS_max_prompts);
  engine.sessions.max_sessions = absl::GetFlag(FLAGS_max_sessions);
  engine.sessions.max_images_per_session = absl::GetFlag(FLAGS_max_images_per_session);
  engine.sessions.max_retained_bytes = MebibytesFlag(FLAGS_retained_image_mib);
  engine.sessions.default_ttl = absl::GetFlag(FLAGS_session_ttl);
  engine.sessions.max_ttl = absl::GetFlag(FLAGS_max_session_ttl);
  engine.sessions.max_age = absl::GetFlag(FLAGS_max_session_age);
  engine.max_segment_calls = absl::GetFlag(FLAGS_max_segment_calls);
  engine.max_segment_queries = absl::GetFlag(FLAGS_max_segment_queries);
  engine.max_queued_images = absl::GetFlag(FLAGS_max_queued_images);
  engine.max_batch_queries = absl::GetFlag(FLAGS_max_batch_queries);
  engine.max_batch_images = absl::GetFlag(FLAGS_max_batch_images);
  engine.text_cache_bytes = absl::GetFlag(FLAGS_text_cache_bytes);
  engine.word_buffer_bytes = MebibytesFlag(FLAGS_word_buffer_mib);
  engine.words.max_words = absl::GetFlag(FLAGS_max_words);
  engine.words.max_characters = absl::GetFlag(FLAGS_max_word_characters);
  engine.max_batch_texts = absl::GetFlag(FLAGS_max_batch_texts);
  engine.sessions.max_labelled_masks = absl::GetFlag(FLAGS_max_labelled_masks);
  engine.sessions.max_mask_query_bytes = MebibytesFlag(FLAGS_mask_query_mib);
  engine.max_background_calls = absl::GetFlag(FLAGS_max_background_calls);
  engine.result_threads = absl::GetFlag(FLAGS_result_threads);
  engine.result_buffer_bytes = MebibytesFlag(FLAGS_result_buffer_mib);
  engine.generate.max_points_per_side = absl::GetFlag(FLAGS_max_points_per_side);
  engine.generate.max_points_per_chunk = absl::GetFlag(FLAGS_max_points_per_chunk);
  engine.vocabulary.max_instances = absl::GetFlag(FLAGS_max_instances);
  engine.default_deadline = absl::GetFlag(FLAGS_default_deadline);
  engine.max_deadline = absl::GetFlag(FLAGS_max_deadline);
  return options;
}

}  // namespace semsam
