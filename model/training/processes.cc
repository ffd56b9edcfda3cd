#include "model/training/processes.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"

#ifdef SEMSAM_HAVE_GLOO
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef SEMSAM_HAVE_NCCL
#define USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#endif

namespace semsam {
namespace {

class Alone final : public Processes {
 public:
  Alone() : Processes(/*rank=*/0, /*count=*/1) {}
  absl::Status Sum(at::Tensor& /*tensor*/) override { return absl::OkStatus(); }
};

// "HOST:PORT"
struct Address {
  std::string host;
  int port = 0;
};

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  Address address;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 1 ||
      address.port > 65535) {
    return InvalidField("meeting", "must be file:PATH or tcp:HOST:PORT");
  }
  address.host = std::string(text.substr(0, colon));
  return address;
}

#ifdef SEMSAM_HAVE_GLOO

// What c10d throws is about the others.
template <typename Body>
absl::Status Talk(Body&& body) {
  try {
    body();
    return absl::OkStatus();
  } catch (const std::exception& error) {
    const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
    return absl::UnavailableError(absl::StrCat(
        "the processes lost each other: ",
        torch_error != nullptr ? torch_error->what_without_backtrace() : error.what()));
  }
}

// What a tensor's sum goes through.
struct Groups {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> cpu;
  c10::intrusive_ptr<c10d::Backend> gpu;  // null without NCCL
};

class GroupProcesses final : public Processes {
 public:
  GroupProcesses(const ProcessOptions& options, Groups groups)
      : Processes(options.rank, options.count), groups_(std::move(groups)) {}

  absl::Status Sum(at::Tensor& tensor) override {
    return Talk([&] {
      const bool here = tensor.is_cpu() || groups_.gpu != nullptr;
      c10d::Backend& group = here && !tensor.is_cpu() ? *groups_.gpu : *groups_.cpu;
      std::vector<at::Tensor> tensors = {here ? tensor : tensor.to(at::kCPU)};
      group.allreduce(tensors)->wait();
      if (!here) tensor.copy_(tensors[0]);
    });
  }

 private:
  const Groups groups_;
};

c10::intrusive_ptr<c10d::Backend> GpuGroup([[maybe_unused]] const ProcessOptions& options,
                                           [[maybe_unused]] const Groups& groups) {
#ifdef SEMSAM_HAVE_NCCL
  if (options.device.is_cuda()) {
    auto nccl = c10d::ProcessGroupNCCL::Options::create();
    nccl->timeout = absl::ToChronoMilliseconds(options.timeout);
    auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(
        c10::make_intrusive<c10d::PrefixStore>("nccl", groups.store), options.rank, options.count,
        std::move(nccl));
    group->setBoundDeviceId(options.device);
    return group;
  }
#endif
  return nullptr;
}

absl::StatusOr<std::unique_ptr<Processes>> JoinGroups(const ProcessOptions& options) {
  absl::string_view meeting = options.meeting;
  const bool file = absl::ConsumePrefix(&meeting, "file:");
  Address address;
  if (!file) {
    absl::ConsumePrefix(&meeting, "tcp:");
    SEMSAM_ASSIGN_OR_RETURN(address, ParseAddress(meeting));
  }
  std::unique_ptr<Processes> joined;
  const std::chrono::milliseconds timeout = absl::ToChronoMilliseconds(options.timeout);
  SEMSAM_RETURN_IF_ERROR(Talk([&] {
    Groups groups;
    if (file) {
      groups.store = c10::make_intrusive<c10d::FileStore>(std::string(meeting), options.count);
    } else {
      c10d::TCPStoreOptions tcp;
      tcp.port = static_cast<uint16_t>(address.port);
      tcp.isServer = options.rank == 0;
      tcp.numWorkers = options.count;
      tcp.timeout = timeout;
      groups.store = c10::make_intrusive<c10d::TCPStore>(address.host, tcp);
    }
    auto gloo = c10d::ProcessGroupGloo::Options::create();
    // A file is on this machine, whatever its name resolves to.
    gloo->devices.push_back(file ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                 : c10d::ProcessGroupGloo::createDefaultDevice());
    gloo->timeout = timeout;
    groups.cpu = c10::make_intrusive<c10d::ProcessGroupGloo>(groups.store, options.rank,
                                                             options.count, std::move(gloo));
    groups.gpu = GpuGroup(options, groups);
    joined = std::make_unique<GroupProcesses>(options, std::move(groups));
  }));
  return joined;
}

#else

absl::StatusOr<std::unique_ptr<Processes>> JoinGroups(const ProcessOptions& /*options*/) {
  return absl::FailedPreconditionError(
      "this build trains in one process: it was made without the headers of gloo (libgloo-dev)");
}

#endif

}  // namespace

absl::Status Validate(const ProcessOptions& options) {
  if (options.count < 1) return InvalidField("count", "must be at least 1");
  if (options.rank < 0 || options.rank >= options.count) {
    return InvalidField("rank", absl::StrCat("must lie in 0 to ", options.count - 1));
  }
  if (options.count == 1) return absl::OkStatus();
  absl::string_view meeting = options.meeting;
  if (absl::ConsumePrefix(&meeting, "file:")) {
    return meeting.empty() ? InvalidField("meeting", "names no file") : absl::OkStatus();
  }
  if (!absl::ConsumePrefix(&meeting, "tcp:")) {
    return InvalidField("meeting", "must be file:PATH or tcp:HOST:PORT");
  }
  return ParseAddress(meeting).status();
}

absl::StatusOr<std::unique_ptr<Processes>> Processes::Join(const ProcessOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  if (options.count == 1) return std::make_unique<Alone>();
  return JoinGroups(options);
}

}  // namespace semsam
