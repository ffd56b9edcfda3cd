#include "model/training/boxes.h"

namespace semsam {
namespace {

constexpr double kEpsilon = 1e-6;

struct Corners {
  explicit Corners(const at::Tensor& box)
      : low(box.slice(-1, 0, 2) - 0.5 * box.slice(-1, 2, 4)),
        high(box.slice(-1, 0, 2) + 0.5 * box.slice(-1, 2, 4)) {}

  at::Tensor low;   // [..., 2] x, y
  at::Tensor high;  // [..., 2]
};

at::Tensor Area(const at::Tensor& sides) { return sides.select(-1, 0) * sides.select(-1, 1); }

}  // namespace

at::Tensor GeneralisedIou(const at::Tensor& a, const at::Tensor& b) {
  const Corners first(a), second(b);
  const at::Tensor shared = Area(
      (at::minimum(first.high, second.high) - at::maximum(first.low, second.low)).clamp_min(0));
  const at::Tensor either = Area(first.high - first.low) + Area(second.high - second.low) - shared;
  const at::Tensor hull = Area(
      (at::maximum(first.high, second.high) - at::minimum(first.low, second.low)).clamp_min(0));
  return shared / (either + kEpsilon) - (hull - either) / (hull + kEpsilon);
}

}  // namespace semsam
