#include "model/ops/cpu/kernels.h"

namespace semsam::ops::cpu {

namespace generic {
extern const Kernels kKernels;
}
#ifdef SEMSAM_HAVE_X86_KERNELS
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

namespace {

struct Registry {
  const Kernels* sets[3] = {};
  int count = 0;

  Registry() {
#ifdef SEMSAM_HAVE_X86_KERNELS
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      sets[count++] = &avx512::kKernels;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      sets[count++] = &avx2::kKernels;
    }
#endif
    sets[count++] = &generic::kKernels;
  }
};

const Registry& Sets() {
  static const Registry registry;
  return registry;
}

}  // namespace

const Kernels& BestKernels() { return *Sets().sets[0]; }

const Kernels* const* AvailableKernels(int* count) {
  *count = Sets().count;
  return Sets().sets;
}

}  // namespace semsam::ops::cpu
