// The same model on several devices of this machine, for a server with a worker on each.
// Torch-free header, as torch_segmenter.h.
#ifndef SEMSAM_MODEL_NET_DEVICE_SEGMENTERS_H_
#define SEMSAM_MODEL_NET_DEVICE_SEGMENTERS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/segmenter.h"

namespace semsam {

struct DeviceSegmentersOptions {
  std::string weights;  // see TorchSegmenterOptions
  // Commas between devices, each as TorchSegmenterOptions has it: "cpu", "cuda:0,cuda:1".
  std::string devices = "cpu";
  // Of "cpu": so many, side by side.
  int cpu_workers = 1;
  // Of one operator; 0 takes one a core, of which each of `cpu_workers` has its share.
  // LibTorch keeps one number for the process, and gives each thread that calls it a team
  // of that size; the teams are not bound to cores.
  int threads = 0;
};

// The devices that `options` name, "cpu" as often as it has workers. INVALID_ARGUMENT for an
// empty name, one that is there twice, "cpu" beside others, and `cpu_workers` that are not
// positive or without a "cpu" to work on.
absl::StatusOr<std::vector<std::string>> DevicesOf(const DeviceSegmentersOptions& options);

// One a device, in their order. Errors: those of DevicesOf and CreateTorchSegmenter.
absl::StatusOr<std::vector<std::unique_ptr<Segmenter>>> CreateDeviceSegmenters(
    const DeviceSegmentersOptions& options);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_DEVICE_SEGMENTERS_H_
