#include "model/torch/runtime.h"

#include <ATen/Config.h>
#include <ATen/Version.h>
#include <malloc.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/torch/torch.h"

namespace semsam {

void ConfigureTorch(const TorchRuntimeOptions& options) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  if (options.threads > 0) at::set_num_threads(options.threads);
}

TorchRuntimeInfo DescribeTorch() {
  TorchRuntimeInfo info;
  info.threads = at::get_num_threads();
  info.isa = at::get_cpu_capability();
  for (absl::string_view line : absl::StrSplit(at::show_config(), '\n')) {
    if (absl::StrContains(line, "Math Kernel Library") || absl::StrContains(line, "OpenBLAS")) {
      absl::StrAppend(&info.blas, info.blas.empty() ? "" : "; ",
                      absl::StripLeadingAsciiWhitespace(absl::StripPrefix(line, "  - ")));
    }
  }
  if (info.blas.empty()) info.blas = at::hasMKL() ? "MKL" : "unknown (no MKL)";
  if (at::hasMKLDNN()) absl::StrAppend(&info.blas, "; oneDNN");
#ifdef TORCH_VERSION
  info.version = TORCH_VERSION;
#endif
  return info;
}

}  // namespace semsam
