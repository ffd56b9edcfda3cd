// A panoptic map as PNG, by panopticapi's convention (COCO panoptic): the id of a
// pixel is R + 256 G + 65,536 B, 0 is nothing.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_IMAGE_PANOPTIC_PNG_H_
#define SEMSAM_MODEL_IMAGE_PANOPTIC_PNG_H_

#include <string>

#include "absl/status/statusor.h"
#include "model/image/vocabulary_inference.h"

namespace semsam {

// INTERNAL where the ids do not fill the map or do not fit 24 bits.
absl::StatusOr<std::string> EncodePanopticPng(const PanopticMap& map);

}  // namespace semsam

#endif  // SEMSAM_MODEL_IMAGE_PANOPTIC_PNG_H_
