// Several processes that train one model: LibTorch's c10d, gloo between CPUs, NCCL
// between GPUs. Every process sees other pictures; sums over all of them make the step
// the same everywhere.
#ifndef SEMSAM_MODEL_TRAINING_PROCESSES_H_
#define SEMSAM_MODEL_TRAINING_PROCESSES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/torch/torch.h"

namespace semsam {

struct ProcessOptions {
  int rank = 0;
  int count = 1;
  // Where they meet: "file:PATH" on one machine (a file that is not there yet) or
  // "tcp:HOST:PORT", where process 0 listens.
  std::string meeting;
  absl::Duration timeout = absl::Minutes(30);  // of a sum: others may still load data
  // Where the sums are. A GPU, which no other process may have, takes NCCL if the build
  // has it (the preset cuda with a CUDA toolkit and NCCL's headers).
  at::Device device = at::kCPU;
};
absl::Status Validate(const ProcessOptions& options);

// Not thread-safe. All processes call the same methods in the same order.
class Processes {
 public:
  // Waits for the others. Alone (count 1) nothing is opened. Errors: INVALID_ARGUMENT
  // for options, FAILED_PRECONDITION where this build knows no c10d, UNAVAILABLE where
  // the others do not come.
  static absl::StatusOr<std::unique_ptr<Processes>> Join(const ProcessOptions& options);

  virtual ~Processes() = default;

  int rank() const { return rank_; }
  int count() const { return count_; }

  // Adds what all processes have in `tensor`, float32 or float64 and contiguous, in
  // place. The same bits on all of them. Without NCCL a tensor of a GPU goes through the
  // CPU. Errors: UNAVAILABLE where a process has ended; NCCL's own watchdog ends a
  // process that has waited for longer than the timeout.
  virtual absl::Status Sum(at::Tensor& tensor) = 0;

 protected:
  Processes(int rank, int count) : rank_(rank), count_(count) {}

 private:
  const int rank_;
  const int count_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_PROCESSES_H_
