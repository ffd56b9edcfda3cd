// Numbers of 16 bits: IEEE half precision and bfloat16.
//
// Widening is exact. Narrowing rounds to nearest, ties to even; what is too large becomes
// infinity, a NaN stays a NaN. Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_BASE_FLOAT16_H_
#define SEMSAM_MODEL_BASE_FLOAT16_H_

#include <cstdint>

namespace semsam {

// The largest finite half.
inline constexpr float kMaxHalf = 65504.0f;

float HalfToFloat(uint16_t half);
uint16_t FloatToHalf(float value);
float BFloat16ToFloat(uint16_t bfloat);
uint16_t FloatToBFloat16(float value);

}  // namespace semsam

#endif  // SEMSAM_MODEL_BASE_FLOAT16_H_
