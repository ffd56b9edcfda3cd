// Data sets of the paper's section 2 behind one interface, whatever their files
// look like.
//
// Guarantees of every reader
//   - Opening reads names and places of annotations, no picture; pictures and masks
//     are read when a sample is loaded.
//   - Samples are sorted by name (bytes); the order does not depend on the file
//     system or on the order in a JSON file.
//   - What Load returns passes CheckSample.
//   - A broken file is an error that names the file and, where there is one, the
//     annotation (its index and id); it never ends the process. Other samples stay
//     loadable.
#ifndef SEMSAM_MODEL_DATA_DATASET_H_
#define SEMSAM_MODEL_DATA_DATASET_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/data/held_out.h"
#include "model/data/sample.h"

namespace semsam {

struct DatasetInfo {
  std::string name;
  std::string licence;  // of the set; a sample may have its own
  std::string source;
  // Of the samples that have none of their own.
  std::shared_ptr<const Vocabulary> vocabulary;
};

// Thread-safe: const methods may run at the same time.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual const DatasetInfo& info() const = 0;
  virtual size_t size() const = 0;
  // index < size(), for both.
  virtual std::string name(size_t index) const = 0;
  virtual absl::StatusOr<Sample> Load(size_t index) const = 0;
};

// Sample and picture.
absl::StatusOr<LoadedSample> LoadWithPicture(const Dataset& dataset, size_t index,
                                             const DecodeLimits& limits = {});

enum class DatasetFormat {
  kSa1b,          // images: folder of NAME.jpg beside NAME.json
  kCoco,          // annotations: instances JSON; images: folder. Objects365 too
  kCocoPanoptic,  // annotations: panoptic JSON; labels: folder of PNG; images. ADE20K too
  kPaco,          // annotations: PACO-LVIS JSON; images: COCO folder
  kPartImageNet,  // annotations: parts JSON; images: folder
  kPascalPart,    // labels: folder of Annotations_Part/*.mat; images: folder
  kFolder,        // images: a folder that WriteFolderSample filled, or one like it
  kLabelMaps,     // labels: folder of PNG; images: folder; `label_rules`
};

// The names that ParseDatasetSpec reads, in the order of DatasetFormat.
inline constexpr std::array<std::string_view, 8> kDatasetFormatNames = {
    "sa1b", "coco", "coco-panoptic", "paco", "partimagenet", "pascal-part", "folder", "label-maps"};

// What a value of a label map means. Values without a rule are an error: a map that
// holds one is not of this kind.
struct LabelRule {
  uint32_t value = 0;
  std::string object_name;  // with `part_name`: the object that the part belongs to
  std::string part_name;
  // Each connected piece of at least `min_piece_px` is an annotation of its own.
  bool split = false;
  int64_t min_piece_px = 16;
};

struct LabelMapRules {
  std::vector<LabelRule> rules;
  std::vector<uint32_t> unknown;     // values of which nothing is known
  std::vector<uint32_t> background;  // values that are nothing
  // Every value without a rule is an instance of this name; empty: there are none.
  std::string instances_of;
  // The union of all values with a part rule is an object of this name, the parent
  // of them; empty: parts have no parent.
  std::string whole;
  // JSON of NAME -> {"head_box_xyxy": [x0, y0, x1, y1]}: a part known by its box
  // alone, of the only object in the picture. Empty: there is none.
  std::string part_boxes;  // path
  std::string part_boxes_field;
  std::string part_boxes_name;
};

// Instances of `part` that lie inside an instance of `object` are parts of it.
struct NestingRule {
  std::string part;
  std::string object;
  double min_share = 0.5;  // of the part's pixels inside the object
};

// Pictures that a set marks as labelled in part only.
struct PartialRule {
  std::string field;                 // text member of an image's record
  std::string value;                 // with this content
  std::vector<std::string> objects;  // only these are annotated; the rest is unknown
};

struct DatasetSpec {
  DatasetFormat format = DatasetFormat::kFolder;
  std::string name;         // empty: the base name of the folder or file
  std::string images;       // folder
  std::string annotations;  // JSON file, see DatasetFormat
  std::string labels;       // folder, see DatasetFormat
  std::string licence;
  std::string source;
  // Whether every instance of the vocabulary is annotated. Ignored for sets that
  // say it themselves (SA-1B, PACO: no; folder: as written).
  bool closed_world = true;
  // kCoco, kCocoPanoptic: what no annotation covers is unknown, not background.
  bool rest_unknown = false;
  LabelMapRules label_rules;         // kLabelMaps
  std::vector<NestingRule> nesting;  // kCoco, kCocoPanoptic
  std::vector<PartialRule> partial;  // kCoco
};

// Errors: INVALID_ARGUMENT for a spec that lacks what its format needs or a broken
// file, NOT_FOUND for a missing one.
// Memory: about 150 bytes a picture and 24 an annotation (COCO train: 40 MB), and 64
// MiB at most for one record.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetSpec& spec);

// "FORMAT:key=value,key=value", e.g.
// "coco-panoptic:annotations=p.json,labels=p,images=val2017". Keys: name, images,
// annotations, labels, licence, source, closed_world, rest_unknown (0 or 1).
// "collection:images=FOLDER" stands for CollectionSpec(FOLDER) of catalog.h; other
// keys replace what that says.
// Errors: INVALID_ARGUMENT that names the key.
absl::StatusOr<DatasetSpec> ParseDatasetSpec(std::string_view text);

// The samples `indices` of `dataset`, in that order.
std::unique_ptr<Dataset> Subset(std::shared_ptr<const Dataset> dataset,
                                std::vector<size_t> indices);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_DATASET_H_
