// The real server over a model that draws discs: for tests of clients, in any
// language, that need a live server and no weights. Takes the flags of
// semsam-server but for those of the model.
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"
#include "tests/fakes/fake_segmenter.h"

ABSL_FLAG(bool, words, false, "the model names objects and parts, and finds what words name");

int main(int argc, char** argv) {
  semsam::BlockStopSignals();
  absl::SetProgramUsageMessage("serves a fake model over gRPC");
  if (absl::ParseCommandLine(argc, argv).size() > 1) {
    std::cerr << "fake_server takes flags only; see --help\n";
    return EXIT_FAILURE;
  }
  semsam::FakeSegmenterOptions fake;
  if (absl::GetFlag(FLAGS_words)) {
    fake.config = semsam::WithWords(fake.config);
    fake.vocabulary = {.objects = {"cat", "dog", "house"}, .parts = {"head", "door"}};
  }
  return semsam::RunServer(semsam::OptionsFromFlags(),
                           std::make_unique<semsam::FakeSegmenter>(std::move(fake)));
}
