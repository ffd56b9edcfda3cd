// One picture and what is known about it, whichever data set it comes from (paper,
// section 2): object labels, part labels, or none; masks, or boxes alone.
//
// The three kinds of data of the paper's Table 2 follow from a sample itself:
//   class-agnostic  no annotation has a name (SA-1B)
//   object-level    annotations have object names
//   part-level      some have part names too
// and so does what may be learnt from it: `Vocabulary` and `unknown` say which
// pixels and which names count as negative.
#ifndef SEMSAM_MODEL_DATA_SAMPLE_H_
#define SEMSAM_MODEL_DATA_SAMPLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/image/decode_image.h"

namespace semsam {

// The names that the annotations of a picture are drawn from. Immutable once made:
// samples share it.
struct Vocabulary {
  // Of a file name's kind: letters, digits, '.', '-', '_', '+'. Empty for no names.
  std::string name;
  std::vector<std::string> objects;  // in the order of the source, without doubles
  std::vector<std::string> parts;    // likewise; bare ("wheel", not "car wheel")
  // Closed world: every instance of every object listed is annotated, so that a
  // listed name that no annotation of the picture has is not in it, outside
  // `Sample::unknown`. Open world: a missing name says nothing.
  bool closed_world = false;

  friend bool operator==(const Vocabulary&, const Vocabulary&) = default;
};

// Pixels of the picture's frame, half-open: x0 <= x < x1. Fractions occur in box
// annotations.
struct BoxPx {
  double x0 = 0;
  double y0 = 0;
  double x1 = 0;
  double y1 = 0;

  bool empty() const { return !(x1 > x0 && y1 > y0); }
  friend bool operator==(const BoxPx&, const BoxPx&) = default;
};

struct Annotation {
  // As the source numbers it; unique in the sample.
  int64_t id = 0;
  // In the frame of the picture; absent: only the box is known.
  std::optional<RunLengths> mask;
  // Tight round the mask where there is one, else as annotated, cut at the picture.
  BoxPx box;
  // What the object is called, or, for a part, the object it belongs to. Empty: not
  // known.
  std::string object_name;
  // Empty: not a part, or one without a name (`parent` tells).
  std::string part_name;
  // Index in Sample::annotations of what this is a part of, or lies inside; -1: of
  // nothing known.
  int parent = -1;
  // A group that was not taken apart; its mask is no instance's.
  bool crowd = false;
  // Not countable: sky, grass ("stuff" of panoptic sets).
  bool stuff = false;
  // As the source states them, for measures that are defined by them (COCO's average
  // precision); nothing where it does not, and after an augmentation.
  std::optional<double> stated_area_px;
  std::optional<BoxPx> stated_box;  // not cut at the picture

  bool is_part() const { return !part_name.empty() || parent >= 0; }
  friend bool operator==(const Annotation&, const Annotation&) = default;
};

struct Sample {
  std::string name;          // in its data set, e.g. the file name without its ending
  std::string picture_path;  // decoded by LoadPicture; may be empty where `pixels` is set
  std::shared_ptr<const Rgb8Image> pixels;  // of generated pictures
  ImageSize size;                           // px, orientation applied

  std::vector<Annotation> annotations;
  // Regions of which nothing is known: neither annotated nor background. Absent:
  // there are none.
  std::optional<RunLengths> unknown;

  std::shared_ptr<const Vocabulary> vocabulary;  // never null in a loaded sample
  // Names known not to be in the picture, where the world is open.
  std::vector<std::string> absent;

  std::string licence;
  std::string source;  // for attribution
};

// A sample with its picture, which has the size of the sample.
struct LoadedSample {
  Rgb8Image picture;
  Sample sample;
};

// The picture of `sample`. Errors name the file: NOT_FOUND where it is missing,
// INVALID_ARGUMENT where it cannot be decoded or has another size than the
// annotations. Thread-safe.
absl::StatusOr<Rgb8Image> LoadPicture(const Sample& sample, const DecodeLimits& limits = {});

// Whether the sample keeps the promises above: masks and the unknown region of its
// size, boxes tight, parents that exist and form no circle, ids unique. Readers
// return nothing else. Errors: INVALID_ARGUMENT that names the annotation.
absl::Status CheckSample(const Sample& sample);

// The tight box of a mask; all zero where it is empty.
BoxPx TightBox(const RunLengths& mask);

// What no annotation covers (masks, and boxes where there is no mask).
RunLengths Unannotated(const Sample& sample);

// Adds `region` to what is unknown.
void AddUnknown(Sample& sample, const RunLengths& region);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_SAMPLE_H_
