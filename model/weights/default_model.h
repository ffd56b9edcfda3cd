// The model that a program carries inside itself: semsam-lite, trained, with its text
// encoder (model/weights/default/MODEL_CARD.md).
#ifndef SEMSAM_MODEL_WEIGHTS_DEFAULT_MODEL_H_
#define SEMSAM_MODEL_WEIGHTS_DEFAULT_MODEL_H_

#include <cstddef>
#include <span>

namespace semsam {

// The whole safetensors file, read-only, aligned to 64 bytes, there as long as the
// program runs. Empty in a program that does not link semsam_default_weights: only
// those that do pay for its size.
//
// Thread-safe.
std::span<const std::byte> DefaultModelBytes();

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_DEFAULT_MODEL_H_
