#include "model/ops/cpu/kernels.h"

#define SEMSAM_ISA_NAMESPACE generic
#define SEMSAM_ISA_NAME "generic"
#define SEMSAM_LANES 4
#include "model/ops/cpu/kernels.inc"
