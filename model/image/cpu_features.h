// Which vector instructions this layer may use, asked at run time: one binary
// runs everywhere. On other architectures the portable loops serve.
#ifndef SEMSAM_MODEL_IMAGE_CPU_FEATURES_H_
#define SEMSAM_MODEL_IMAGE_CPU_FEATURES_H_

#if defined(__x86_64__) && !defined(SEMSAM_PORTABLE_ONLY)
#define SEMSAM_X86 1
#define SEMSAM_TARGET_AVX2 __attribute__((target("avx2,fma")))
#else
#define SEMSAM_X86 0
#define SEMSAM_TARGET_AVX2
#endif

namespace semsam {

inline bool CpuHasAvx2() {
#if SEMSAM_X86
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
#else
  return false;
#endif
}

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_CPU_FEATURES_H_
