// Process-wide settings of LibTorch and what it runs on.
#ifndef SEMSAM_MODEL_TORCH_RUNTIME_H_
#define SEMSAM_MODEL_TORCH_RUNTIME_H_

#include <string>

namespace semsam {

struct TorchRuntimeOptions {
  int threads = 0;  // for one operator; 0 takes one a core
};

// Call once, at the start of a program, before any tensor exists. Tells the C
// allocator to keep large blocks: without it each activation tensor costs page
// faults.
void ConfigureTorch(const TorchRuntimeOptions& options);

struct TorchRuntimeInfo {
  std::string version;  // of LibTorch
  std::string blas;     // "MKL 2024.2, oneDNN 3.10": what matrix products run on
  std::string isa;      // "AVX512": what LibTorch's own kernels run on
  int threads = 0;
};

TorchRuntimeInfo DescribeTorch();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TORCH_RUNTIME_H_
