// How much is under way at a time, on how many threads and in which batches.
#include <algorithm>
#include <cstdint>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "server/app/flags/topics.h"

ABSL_FLAG(int, cpu_threads, 0, "threads that read images and finish masks; 0 takes one a core");
ABSL_FLAG(int, max_segment_calls, 256, "segment calls under way");
ABSL_FLAG(int64_t, max_segment_queries, 4096, "queries of those calls; a prompt is six");
ABSL_FLAG(int, max_queued_images, 64, "images waiting to be read or encoded");
ABSL_FLAG(int64_t, max_batch_queries, 384, "queries a decoder call");
ABSL_FLAG(int64_t, max_batch_images, 1, "images an encoder call");
ABSL_FLAG(absl::Duration, max_encode_wait, absl::Seconds(10),
          "how long an image waits for clicks; then it takes turns with them; 0: as long as they "
          "come");
ABSL_FLAG(absl::Duration, spill_after, absl::Milliseconds(100),
          "with several devices: how much longer than on the least busy one an image may wait for "
          "the one that its digest names");
ABSL_FLAG(int64_t, max_batch_texts, 512,
          "texts a text encoder call; a word is one, or 81 with the prompt templates");
ABSL_FLAG(int, max_background_calls, 8, "GenerateMasks and SegmentVocabulary calls under way");
ABSL_FLAG(int, result_threads, 1, "threads that finish the answers to those calls");
ABSL_FLAG(int64_t, result_buffer_mib, 1024, "MiB of the model's answers to those calls");
ABSL_FLAG(int64_t, word_buffer_mib, 256, "MiB of text embeddings that calls under way work with");
ABSL_FLAG(int64_t, upload_buffer_mib, 512,
          "MiB of images being uploaded, or sent along with a request");
ABSL_FLAG(absl::Duration, default_deadline, absl::Seconds(30),
          "deadline of a call that sets none; GenerateMasks and SegmentVocabulary take "
          "--max_deadline");
ABSL_FLAG(bool, deadline_admission, true,
          "refuse a call that its deadline clearly leaves no time, before work is done for it");
ABSL_FLAG(absl::Duration, max_deadline, absl::Minutes(5), "longest deadline of any call");

namespace semsam {
namespace {

int CpuThreads() {
  const int asked = absl::GetFlag(FLAGS_cpu_threads);
  return asked != 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

void ReadEngineFlags(ServerOptions& options) {
  EngineOptions& engine = options.engine;
  engine.cpu_threads = CpuThreads();
  engine.max_segment_calls = absl::GetFlag(FLAGS_max_segment_calls);
  engine.max_segment_queries = absl::GetFlag(FLAGS_max_segment_queries);
  engine.max_queued_images = absl::GetFlag(FLAGS_max_queued_images);
  engine.max_batch_queries = absl::GetFlag(FLAGS_max_batch_queries);
  engine.max_batch_images = absl::GetFlag(FLAGS_max_batch_images);
  engine.max_encode_wait = absl::GetFlag(FLAGS_max_encode_wait);
  engine.spill_after = absl::GetFlag(FLAGS_spill_after);
  engine.max_batch_texts = absl::GetFlag(FLAGS_max_batch_texts);
  engine.max_background_calls = absl::GetFlag(FLAGS_max_background_calls);
  engine.result_threads = absl::GetFlag(FLAGS_result_threads);
  engine.result_buffer_bytes = MebibytesFlag(FLAGS_result_buffer_mib);
  engine.word_buffer_bytes = MebibytesFlag(FLAGS_word_buffer_mib);
  engine.upload_buffer_bytes = MebibytesFlag(FLAGS_upload_buffer_mib);
  engine.default_deadline = absl::GetFlag(FLAGS_default_deadline);
  engine.deadline_admission = absl::GetFlag(FLAGS_deadline_admission);
  engine.max_deadline = absl::GetFlag(FLAGS_max_deadline);
}

}  // namespace semsam
