// The readers behind OpenDataset, one a format. Each checks what it needs of `spec`.
#ifndef SEMSAM_MODEL_DATA_READERS_H_
#define SEMSAM_MODEL_DATA_READERS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "model/data/dataset.h"

namespace semsam {

// SA-1B: sa_N.jpg with sa_N.json: "image" and "annotations" with compressed run
// lengths. No names; what no mask covers is unknown.
absl::StatusOr<std::unique_ptr<Dataset>> OpenSa1b(const DatasetSpec& spec);

// COCO instances, and what shares its layout: Objects365 (boxes alone), PACO-LVIS
// ("object:part" categories, "obj_ann_id" names the object), PartImageNet
// ("Quadruped Head" categories with the object as supercategory).
absl::StatusOr<std::unique_ptr<Dataset>> OpenCoco(const DatasetSpec& spec);

// COCO panoptic, and ADE20K panoptic as the tools of Mask2Former write it.
absl::StatusOr<std::unique_ptr<Dataset>> OpenPanoptic(const DatasetSpec& spec);

// PASCAL-Part as published: one MATLAB file a picture, Annotations_Part/NAME.mat.
absl::StatusOr<std::unique_ptr<Dataset>> OpenPascalPart(const DatasetSpec& spec);

absl::StatusOr<std::unique_ptr<Dataset>> OpenFolder(const DatasetSpec& spec);
absl::StatusOr<std::unique_ptr<Dataset>> OpenLabelMaps(const DatasetSpec& spec);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_READERS_H_
