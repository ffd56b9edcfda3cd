// What the tests of the CPU kernels share: one run for every instruction set that this
// processor has.
#ifndef SEMSAM_TESTS_MODEL_OPS_KERNEL_SETS_H_
#define SEMSAM_TESTS_MODEL_OPS_KERNEL_SETS_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "model/ops/cpu/kernels.h"

namespace semsam::ops::cpu {

// `count` numbers in -scale..scale.
inline std::vector<float> Random(size_t count, float scale, uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(engine);
  return values;
}

// The parameter counts the sets; what the processor lacks is skipped.
class KernelSetTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    int count = 0;
    const Kernels* const* sets = AvailableKernels(&count);
    if (GetParam() >= count) GTEST_SKIP() << "this processor runs " << count << " sets";
    kernels_ = sets[GetParam()];
  }

  const Kernels* kernels_ = nullptr;
};

}  // namespace semsam::ops::cpu

#endif  // SEMSAM_TESTS_MODEL_OPS_KERNEL_SETS_H_
