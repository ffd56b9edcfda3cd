#include "model/data/catalog.h"

#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"

namespace semsam {
namespace {

constexpr int64_t kMaxListBytes = 1 << 20;

// Label maps lie in labels/, pictures in images/.
DatasetSpec LabelMaps(const std::string& folder) {
  return {.format = DatasetFormat::kLabelMaps,
          .images = JoinPath(folder, "images"),
          .labels = JoinPath(folder, "labels")};
}

absl::StatusOr<DatasetSpec> Coco(const std::string& folder) {
  return DatasetSpec{
      .format = DatasetFormat::kCoco,
      .images = JoinPath(folder, "images"),
      .annotations = JoinPath(folder, "annotations.json"),
      .licence = "pictures as each says (CC BY, CC BY-SA), annotations CC BY 4.0",
      .source = "COCO 2017, COCO Consortium",
      .partial = {{.field = "labels",
                   .value = "4-classes-only",
                   .objects = {"person", "bicycle", "car", "motorcycle"}},
                  {.field = "labels", .value = "person-only", .objects = {"person"}}}};
}

absl::StatusOr<DatasetSpec> CocoPanoptic(const std::string& folder) {
  return DatasetSpec{.format = DatasetFormat::kCocoPanoptic,
                     .images = JoinPath(folder, "images"),
                     .annotations = JoinPath(folder, "panoptic.json"),
                     .labels = JoinPath(folder, "panoptic"),
                     .licence = "pictures as each says (CC BY, CC BY-SA), annotations CC BY 4.0",
                     .source = "COCO 2017 panoptic, COCO Consortium"};
}

absl::StatusOr<DatasetSpec> Facades(const std::string& folder) {
  return DatasetSpec{.format = DatasetFormat::kCoco,
                     .images = JoinPath(folder, "images"),
                     .annotations = JoinPath(folder, "annotations.json"),
                     .licence = "CC BY 4.0",
                     .source = "Building facade segmentation, 2023",
                     .nesting = {{.part = "window", .object = "facade"},
                                 {.part = "balcony-fence", .object = "facade"},
                                 {.part = "shop", .object = "facade"}}};
}

absl::StatusOr<DatasetSpec> Pets(const std::string& folder) {
  DatasetSpec spec = LabelMaps(folder);
  spec.licence = "CC BY-SA 4.0";
  spec.source = "Oxford-IIIT Pet (Parkhi, Vedaldi, Zisserman, Jawahar, CVPR 2012)";
  spec.label_rules.rules = {{.value = 1, .object_name = "cat"}, {.value = 2, .object_name = "dog"}};
  spec.label_rules.background = {0};
  spec.label_rules.unknown = {255};
  const std::string meta = JoinPath(folder, "meta.json");
  if (IsFile(meta)) {
    spec.label_rules.part_boxes = meta;
    spec.label_rules.part_boxes_field = "head_box_xyxy";
    spec.label_rules.part_boxes_name = "head";
  }
  return spec;
}

absl::StatusOr<DatasetSpec> Cats(const std::string& folder) {
  DatasetSpec spec = LabelMaps(folder);
  spec.licence = "public domain as stated by its maker";
  spec.source = "Feral cat segmentation, P. M. Cashman, 2023";
  spec.label_rules.background = {0};
  spec.label_rules.instances_of = "cat";
  return spec;
}

absl::StatusOr<DatasetSpec> Cars(const std::string& folder) {
  DatasetSpec spec = LabelMaps(folder);
  spec.licence = "free for private and commercial use, to be cited";
  spec.source = "Car segmentation, Intelec AI, 2021";
  spec.label_rules.background = {0};
  spec.label_rules.whole = "car";
  spec.label_rules.rules = {
      {.value = 1, .object_name = "car", .part_name = "body"},
      {.value = 2, .object_name = "car", .part_name = "wheel", .split = true},
      {.value = 3, .object_name = "car", .part_name = "light", .split = true},
      {.value = 4, .object_name = "car", .part_name = "window", .split = true}};
  return spec;
}

// labels.txt has the name of value n in line n, counted from 0; value 0 is nothing.
absl::StatusOr<DatasetSpec> People(const std::string& folder) {
  DatasetSpec spec = LabelMaps(folder);
  spec.licence = "Apache-2.0";
  spec.source = "Clothing Co-Parsing (Yang, Luo, Lin, CVPR 2014)";
  spec.label_rules.background = {0};
  spec.label_rules.whole = "person";
  SEMSAM_ASSIGN_OR_RETURN(const std::string text,
                          ReadWholeFile(JoinPath(folder, "labels.txt"), kMaxListBytes));
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string name(absl::StripAsciiWhitespace(lines[i]));
    if (name.empty()) continue;
    spec.label_rules.rules.push_back(
        {.value = static_cast<uint32_t>(i), .object_name = "person", .part_name = name});
  }
  return spec;
}

absl::StatusOr<DatasetSpec> Garments(const std::string& folder) {
  DatasetSpec spec = LabelMaps(folder);
  spec.licence = "CC0 1.0";
  spec.source = "Clothing dataset (small), A. Grigorev and contributors, 2020";
  spec.label_rules.background = {0};
  const char* const names[] = {"dress", "hat",   "longsleeve", "outwear", "pants",
                               "shirt", "shoes", "shorts",     "skirt",   "t-shirt"};
  uint32_t value = 1;
  for (const char* name : names) {
    spec.label_rules.rules.push_back({.value = value++, .object_name = name});
  }
  return spec;
}

using MakeSpec = absl::StatusOr<DatasetSpec> (*)(const std::string& folder);

// In the order of kCollectionFolders.
constexpr std::array<MakeSpec, kCollectionFolders.size()> kMakers = {
    Coco, CocoPanoptic, Facades, Pets, Cats, Cars, People, Garments};

}  // namespace

absl::StatusOr<DatasetSpec> CollectionSpec(std::string_view folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.remove_suffix(1);
  const std::string_view name = BaseName(folder);
  for (size_t i = 0; i < kCollectionFolders.size(); ++i) {
    if (name != kCollectionFolders[i]) continue;
    SEMSAM_ASSIGN_OR_RETURN(DatasetSpec spec, kMakers[i](std::string(folder)));
    spec.name = std::string(name);
    return spec;
  }
  const std::vector<std::string> known(kCollectionFolders.begin(), kCollectionFolders.end());
  return absl::NotFoundError(absl::StrCat("the catalogue has no \"",
                                          absl::string_view(name.data(), name.size()),
                                          "\"; there are: ", absl::StrJoin(known, ", ")));
}

}  // namespace semsam
