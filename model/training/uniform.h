// Where the losses get their random numbers: a generator whose state a checkpoint
// holds, or, in tests, numbers that are known beforehand.
#ifndef SEMSAM_MODEL_TRAINING_UNIFORM_H_
#define SEMSAM_MODEL_TRAINING_UNIFORM_H_

#include <cstdint>

#include "model/torch/torch.h"

namespace semsam {

// Not thread-safe: the order of the draws is part of the result.
class UniformSource {
 public:
  virtual ~UniformSource() = default;

  // Float32 in [0, 1) on the CPU; every call gives new ones.
  virtual at::Tensor Draw(at::IntArrayRef shape) = 0;
};

// SplitMix64 by position, so that threads fill one tensor together and one state
// gives the same numbers on every machine and for any number of threads.
class SeededUniform final : public UniformSource {
 public:
  explicit SeededUniform(uint64_t state) : state_(state) {}

  at::Tensor Draw(at::IntArrayRef shape) override;

  // SeededUniform(state()) goes on where this one stands.
  uint64_t state() const { return state_; }

 private:
  uint64_t state_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_UNIFORM_H_
