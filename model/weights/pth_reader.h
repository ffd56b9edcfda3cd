// Checkpoints as torch.save writes them (.pth, .pt), read without PyTorch: zip
// archives, and the format from before PyTorch 1.6. Nothing in a file is ever
// executed (see pickle.h).
//
// Thread-safety: free functions.
#ifndef SEMSAM_MODEL_WEIGHTS_PTH_READER_H_
#define SEMSAM_MODEL_WEIGHTS_PTH_READER_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "model/weights/tensor_view.h"

namespace semsam {

// True when the bytes start like a zip archive or a pickle.
bool LooksLikePth(std::span<const std::byte> bytes);

// The tensors of the state dictionary, in file order, with the keys they have
// there: of the entry "model" or else "state_dict" when the top level has one, else
// of the top level.
// Values that are no tensors (an epoch number) are left out. The views point
// into `bytes`.
//
// INVALID_ARGUMENT for files that are damaged, big-endian, compressed, ask for
// any class beyond tensors and dictionaries (named in the text), hold a tensor
// that leaves its storage or spreads few stored numbers over many elements.
absl::StatusOr<std::vector<TensorView>> ReadPth(std::span<const std::byte> bytes);

// Names as the network has them. Files of Semantic-SAM and training checkpoints of
// OpenSeeD put "model.", "module." or several of these before each key of the
// network; other keys of such a file belong to something else and go. A file in
// which no key has a prefix, as OpenSeeD releases them, is taken as it is. (Each of
// the two published loaders drops the other's files without a word and runs with
// random weights.)
std::vector<TensorView> PublishedModelTensors(std::vector<TensorView> tensors);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_PTH_READER_H_
