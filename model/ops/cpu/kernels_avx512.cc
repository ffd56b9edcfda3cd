#include "model/ops/cpu/kernels.h"

#define SEMSAM_ISA_NAMESPACE avx512
#define SEMSAM_ISA_NAME "avx512"
#define SEMSAM_LANES 16
#include "model/ops/cpu/kernels.inc"
