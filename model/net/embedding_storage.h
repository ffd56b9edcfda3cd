// The features of an image as bytes, and back: what lies in StoredEmbedding::bytes
// (model/net/stored_layout.h says how they are laid out).
//
// 8 bits: the memory is symmetric about 0; so is the mask map, but for one without a
// number below 0, which takes all of 0 to 255 and so half the step.
//
// Errors in numbers go unseen here: who keeps bytes where they can rot has a checksum.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_NET_EMBEDDING_STORAGE_H_
#define SEMSAM_MODEL_NET_EMBEDDING_STORAGE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "model/net/semantic_sam.h"
#include "model/segmenter.h"

namespace semsam {

// size_bytes() of what `model` encodes from an image of `network` px, both sides
// positive.
int64_t FeatureBytes(const SemanticSam& model, ImageSize network);

// `features` of an image of `network` px. Runs on the calling thread alone, so that the
// cores stay with the model; features on another device are copied from it first.
// Errors: INVALID_ARGUMENT for an unknown format; INTERNAL where a number is not finite
// and the format is not kFp32.
absl::StatusOr<std::string> PackFeatures(const ImageFeatures& features, ImageSize network,
                                         StorageFormat format);

// The features of `stored`, on the device of `model`, whose digest is that of `stored`.
// All is checked against the model before anything is allocated: INVALID_ARGUMENT for
// bytes that are not what PackFeatures wrote, for another size of the image or another
// format than `stored` says. Bytes from a processor with other kernels, or from a CPU
// for a GPU, are brought into the model's own form; those of a GPU are refused by a
// model on the CPU kernels, whose masks would depend on what else is decoded with them.
absl::StatusOr<ImageFeatures> UnpackFeatures(const SemanticSam& model,
                                             const StoredEmbedding& stored);

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_EMBEDDING_STORAGE_H_
