// CUDA launchers on raw device pointers: the twins of cpu::Kernels::sample_levels
// and sample_levels_backward. No Torch and no CUDA header here.
#ifndef SEMSAM_MODEL_OPS_CUDA_LEVEL_SAMPLING_H_
#define SEMSAM_MODEL_OPS_CUDA_LEVEL_SAMPLING_H_

#include <cstdint>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops::cuda {

// Queue the work on `stream` (a cudaStream_t) of the current device and return at
// once: null, or why it could not be queued.
const char* SampleLevels(const cpu::LevelSamplingArgs<float>& args, float* out, int64_t batch,
                         void* stream);
const char* SampleLevels(const cpu::LevelSamplingArgs<double>& args, double* out, int64_t batch,
                         void* stream);

// Unlike the CPU's, the sums of grads.values have no fixed order: they differ in
// their last bits from run to run.
const char* SampleLevelsBackward(const cpu::LevelSamplingArgs<float>& args,
                                 const cpu::LevelSamplingGrads<float>& grads, int64_t batch,
                                 void* stream);
const char* SampleLevelsBackward(const cpu::LevelSamplingArgs<double>& args,
                                 const cpu::LevelSamplingGrads<double>& grads, int64_t batch,
                                 void* stream);

}  // namespace semsam::ops::cuda

#endif  // SEMSAM_MODEL_OPS_CUDA_LEVEL_SAMPLING_H_
