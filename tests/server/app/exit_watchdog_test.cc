// Ends of processes: each in a process of its own.
#include "server/app/exit_watchdog.h"

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "model/base/errors.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"
#include "server/app/server_app.h"
#include "tests/fakes/fake_segmenter.h"

namespace semsam {
namespace {

class ExitWatchdogDeathTest : public ::testing::Test {
 protected:
  // The child starts afresh instead of inheriting half the threads.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ExitWatchdogDeathTest, EndsTheProcessAtItsLimit) {
  EXPECT_EXIT(
      {
        const ExitWatchdog watchdog(absl::Milliseconds(1));
        pause();
      },
      ::testing::ExitedWithCode(kWatchdogExitStatus), "");
}

TEST_F(ExitWatchdogDeathTest, IsQuietWhereAllEndsInTime) {
  EXPECT_EXIT(
      {
        { const ExitWatchdog watchdog(absl::Hours(1)); }
        _exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// Asks for a picture to be encoded, and waits for ever.
void Ask(const std::string& address) {
  std::ifstream file(SEMSAM_SOURCE_DIR "/deploy/demo/chelsea.jpg", std::ios::binary);
  v1::SegmentOnceRequest request;
  const std::string photo{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  request.set_image_bytes(photo);
  request.add_prompts()->mutable_click()->set_x(200);
  request.mutable_prompts(0)->mutable_click()->set_y(150);
  const auto stub = v1::SegmentationService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::SegmentOnceResponse response;
  (void)stub->SegmentOnce(&context, request, &response);
}

// A server whose device is lost with the first picture.
int ServeALostDevice() {
  BlockStopSignals();
  ServerOptions options;
  options.rpc.listen =
      "unix:" + ::testing::TempDir() + "semsam_fault_test_" + std::to_string(getpid());
  options.warm_up = false;
  FakeSegmenterOptions fake;
  fake.on_encode = [] { return DeviceFault("an illegal memory access"); };
  std::thread([address = options.rpc.listen] { Ask(address); }).detach();
  return RunServer(options, FakeModels(fake));
}

TEST_F(ExitWatchdogDeathTest, AServerThatLostItsDeviceEndsByItself) {
  EXPECT_EXIT(_exit(ServeALostDevice()), ::testing::ExitedWithCode(kFaultExitStatus),
              "an illegal memory access");
}

// A server whose model never ends what it began, told to stop once it has begun.
int ServeAStuckModel() {
  BlockStopSignals();
  ServerOptions options;
  options.rpc.listen =
      "unix:" + ::testing::TempDir() + "semsam_exit_test_" + std::to_string(getpid());
  options.drain_grace = absl::Milliseconds(100);
  options.exit_margin = absl::Milliseconds(100);
  FakeSegmenterOptions fake;
  fake.on_encode = []() -> absl::Status {
    kill(getpid(), SIGTERM);
    while (true) pause();
  };
  std::thread([address = options.rpc.listen] { Ask(address); }).detach();
  return RunServer(options, FakeModels(fake));
}

TEST_F(ExitWatchdogDeathTest, AServerIsGoneAfterItsGraceWhateverItsModelDoes) {
  EXPECT_EXIT(_exit(ServeAStuckModel()), ::testing::ExitedWithCode(kWatchdogExitStatus),
              "outlived the grace period");
}

}  // namespace
}  // namespace semsam
