#include "model/net/device_segmenters.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/net/torch_segmenter.h"
#include "model/torch/runtime.h"

namespace semsam {
namespace {

constexpr char kCpu[] = "cpu";

// LibTorch knows this one by both names.
std::string Named(const std::string& device) { return device == "cuda" ? "cuda:0" : device; }

}  // namespace

absl::StatusOr<std::vector<std::string>> DevicesOf(const DeviceSegmentersOptions& options) {
  if (options.cpu_workers <= 0) return InvalidField("cpu_workers", "must be positive");
  const std::vector<std::string> listed = absl::StrSplit(options.devices, ',');
  std::set<std::string> seen;
  for (const std::string& device : listed) {
    if (device.empty()) return InvalidField("device", "has an empty name in its list");
    if (!seen.insert(Named(device)).second) {
      return InvalidField("device", absl::StrCat("names ", Named(device), " twice"));
    }
  }
  if (!seen.contains(kCpu)) {
    if (options.cpu_workers > 1) return InvalidField("cpu_workers", "is for --device=cpu alone");
    return listed;
  }
  // It would get, and keep waiting, as many images as a device that is many times as fast.
  if (listed.size() > 1) return InvalidField("device", "takes no cpu beside other devices");
  return std::vector<std::string>(options.cpu_workers, kCpu);
}

absl::StatusOr<std::vector<std::unique_ptr<Segmenter>>> CreateDeviceSegmenters(
    const DeviceSegmentersOptions& options) {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> devices, DevicesOf(options));
  int threads = options.threads;
  if (threads == 0 && options.cpu_workers > 1) {
    threads = std::max(1, DescribeTorch().threads / options.cpu_workers);
  }
  std::vector<std::unique_ptr<Segmenter>> segmenters;
  for (const std::string& device : devices) {
    SEMSAM_ASSIGN_OR_RETURN(
        std::unique_ptr<Segmenter> segmenter,
        CreateTorchSegmenter({.weights = options.weights, .device = device, .threads = threads}));
    segmenters.push_back(std::move(segmenter));
  }
  return segmenters;
}

}  // namespace semsam
