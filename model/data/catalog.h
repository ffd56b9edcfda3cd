// A collection of free-licence sets as folders: which folder is read how, what its
// values mean, under which licence it stands.
//
//   coco           COCO JSON; a part of the pictures labelled in part
//   coco_panoptic  COCO panoptic
//   facades        COCO JSON; windows, balconies and shops are parts of facades
//   pets           label maps: cat, dog, an unsure border; boxes of heads
//   cats           label maps: one value a cat
//   cars           label maps: a car of body, wheels, lights and windows
//   people         label maps: a person of clothes, hair and skin
//   garments       label maps: one garment a picture
#ifndef SEMSAM_MODEL_DATA_CATALOG_H_
#define SEMSAM_MODEL_DATA_CATALOG_H_

#include <array>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/data/dataset.h"

namespace semsam {

inline constexpr std::array<std::string_view, 8> kCollectionFolders = {
    "coco", "coco_panoptic", "facades", "pets", "cats", "cars", "people", "garments"};

// How to open `folder`, whose last component is one of kCollectionFolders. Errors:
// NOT_FOUND for a name that is not in the catalogue, what reading its list of
// labels gives. Thread-safe.
absl::StatusOr<DatasetSpec> CollectionSpec(std::string_view folder);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_CATALOG_H_
