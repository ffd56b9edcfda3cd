#include "model/weights/default_model.h"

// Defined in default_weights.S. Weak: null in a program that is linked without it.
extern "C" {
[[gnu::weak]] extern const std::byte semsam_default_weights_begin[];
[[gnu::weak]] extern const std::byte semsam_default_weights_end[];
}

namespace semsam {

std::span<const std::byte> DefaultModelBytes() {
  // By way of a pointer: compilers take the address of an array for never null.
  const std::byte* begin = semsam_default_weights_begin;
  const std::byte* end = semsam_default_weights_end;
  if (begin == nullptr) return {};
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace semsam
