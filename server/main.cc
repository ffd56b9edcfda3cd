// semsam-server: Semantic-SAM over gRPC. The only place where LibTorch meets gRPC.
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "model/net/device_segmenters.h"
#include "server/app/server_app.h"
#include "server/app/server_flags.h"

ABSL_FLAG(std::string, weights, "default",
          "weights: default, the model that the server carries; a .safetensors or published .pth "
          "file; formula:swin-t and formula:swin-l are untrained, for tests and benchmarks");
ABSL_FLAG(std::string, device, "cpu",
          "where the model runs: cpu, cuda or cuda:N, or several such: cuda:0,cuda:1");
ABSL_FLAG(int, cpu_workers, 1,
          "with --device=cpu: how many models run side by side, each with its share of the cores");
ABSL_FLAG(int, threads, 0,
          "threads of one operator of the model; 0 takes one a core of the worker's share");

int main(int argc, char** argv) {
  // LibTorch starts threads of its own: before that.
  semsam::BlockStopSignals();
  absl::SetProgramUsageMessage("serves Semantic-SAM over gRPC");
  if (absl::ParseCommandLine(argc, argv).size() > 1) {
    std::cerr << "semsam-server takes flags only; see --help\n";
    return EXIT_FAILURE;
  }
  absl::StatusOr<semsam::Models> models =
      semsam::CreateDeviceSegmenters({.weights = absl::GetFlag(FLAGS_weights),
                                      .devices = absl::GetFlag(FLAGS_device),
                                      .cpu_workers = absl::GetFlag(FLAGS_cpu_workers),
                                      .threads = absl::GetFlag(FLAGS_threads)});
  if (!models.ok()) {
    std::cerr << "cannot load the model: " << models.status().message() << "\n";
    return EXIT_FAILURE;
  }
  return semsam::RunServer(semsam::OptionsFromFlags(), *std::move(models));
}
