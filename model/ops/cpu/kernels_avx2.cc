#include "model/ops/cpu/kernels.h"

#define SEMSAM_ISA_NAMESPACE avx2
#define SEMSAM_ISA_NAME "avx2"
#define SEMSAM_LANES 8
#include "model/ops/cpu/kernels.inc"
