// The real server over a model that draws discs: for tests of clients, in any
// language, that need a live server and no weights. Takes the flags of
// semsam-server but for those of the model, and flags that give the model the speed
// and the size of a real one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"
#include "tests/fakes/fake_segmenter.h"

ABSL_FLAG(bool, words, false, "the model names objects and parts, and finds what words name");
ABSL_FLAG(int, encode_ms, 0, "milliseconds of an encoder call");
ABSL_FLAG(int, decode_ms, 0, "milliseconds of a decoder call for clicks");
ABSL_FLAG(int, chunk_ms, 0,
          "milliseconds of a decoder call with 32 prompts or more in one request, as GenerateMasks "
          "makes them, and of a SegmentVocabulary run");
ABSL_FLAG(int64_t, embedding_kib, 1, "KiB that an embedding counts for");
ABSL_FLAG(int, cpu_workers, 1, "devices, each with a worker");

namespace {

constexpr int kChunkPrompts = 32;

// Blocks the model's thread, as a device does.
absl::Status Work(int milliseconds) {
  absl::SleepFor(absl::Milliseconds(milliseconds));
  return absl::OkStatus();
}

semsam::FakeSegmenterOptions ModelFromFlags() {
  semsam::FakeSegmenterOptions fake;
  if (absl::GetFlag(FLAGS_words)) {
    fake.config = semsam::WithWords(fake.config);
    fake.vocabulary = {.objects = {"cat", "dog", "house"}, .parts = {"head", "door"}};
  }
  constexpr int64_t kMostKib = int64_t{1} << 40;  // no overflow
  fake.embedding_bytes = std::clamp<int64_t>(absl::GetFlag(FLAGS_embedding_kib), 1, kMostKib) << 10;
  const int chunk_ms = absl::GetFlag(FLAGS_chunk_ms);
  fake.on_encode = [ms = absl::GetFlag(FLAGS_encode_ms)] { return Work(ms); };
  fake.on_vocabulary = [chunk_ms] { return Work(chunk_ms); };
  fake.on_prompts = [decode_ms = absl::GetFlag(FLAGS_decode_ms), chunk_ms](int prompts) {
    (void)Work(prompts < kChunkPrompts ? decode_ms : chunk_ms);
  };
  return fake;
}

}  // namespace

int main(int argc, char** argv) {
  semsam::BlockStopSignals();
  absl::SetProgramUsageMessage("serves a fake model over gRPC");
  if (absl::ParseCommandLine(argc, argv).size() > 1) {
    std::cerr << "fake_server takes flags only; see --help\n";
    return EXIT_FAILURE;
  }
  return semsam::RunServer(semsam::OptionsFromFlags(),
                           semsam::FakeModels(ModelFromFlags(), absl::GetFlag(FLAGS_cpu_workers)));
}
