#include "model/data/augment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/resize.h"
#include "model/image/run_length_sets.h"

namespace semsam {
namespace {

constexpr int kMaxSquare = 8192;  // px

// How a picture gets into the square.
struct Placement {
  ImageSize source;
  ImageSize resized;
  int crop_x = 0;  // px of `resized`
  int crop_y = 0;
  int square = 0;
  bool mirror = false;
};

// Source pixel of every pixel of the square along one axis; -1: padding. The nearest
// pixel centre, in whole numbers.
std::vector<int> SourcePixels(int source, int resized, int crop, int square) {
  std::vector<int> pixels(square, -1);
  for (int i = 0; i < square && i + crop < resized; ++i) {
    pixels[i] = static_cast<int>((2 * (int64_t{i} + crop) + 1) * source / (2 * int64_t{resized}));
  }
  return pixels;
}

// value * numerator / denominator to the nearest whole number, halves up; 1 at least.
int Scaled(int value, double factor) { return std::max(1, static_cast<int>(value * factor + 0.5)); }

Placement Place(ImageSize source, const JitterOptions& options, Random& random) {
  const double side = random.Uniform(options.min_scale, options.max_scale) * options.size_px;
  const double factor = std::min(side / source.height, side / source.width);
  Placement placement = {
      .source = source,
      .resized = {.height = Scaled(source.height, factor), .width = Scaled(source.width, factor)},
      .square = options.size_px};
  const auto offset = [&](int resized) {
    const int spare = std::max(0, resized - options.size_px);
    return static_cast<int>(random.Below(static_cast<uint64_t>(spare) + 1));
  };
  placement.crop_y = offset(placement.resized.height);
  placement.crop_x = offset(placement.resized.width);
  placement.mirror = random.Chance(options.flip);
  return placement;
}

Rgb8Image PlacePicture(const Rgb8Image& picture, const Placement& placement,
                       const std::array<uint8_t, 3>& padding) {
  const Rgb8Image resized =
      placement.resized == picture.size ? picture : ResizeBicubic(picture, placement.resized);
  Rgb8Image square{.size = {.height = placement.square, .width = placement.square}};
  square.pixels.resize(static_cast<size_t>(square.size.area()) * 3);
  for (size_t i = 0; i < square.pixels.size(); ++i) square.pixels[i] = padding[i % 3];
  const int height = std::min(placement.square, resized.size.height - placement.crop_y);
  const int width = std::min(placement.square, resized.size.width - placement.crop_x);
  for (int y = 0; y < height; ++y) {
    std::memcpy(square.pixels.data() + static_cast<size_t>(y) * placement.square * 3,
                resized.row(y + placement.crop_y) + static_cast<size_t>(placement.crop_x) * 3,
                static_cast<size_t>(width) * 3);
  }
  return square;
}

// A box without a mask, cut at the square; empty where nothing is left.
BoxPx PlaceBox(const BoxPx& box, const Placement& placement) {
  const double fx = static_cast<double>(placement.resized.width) / placement.source.width;
  const double fy = static_cast<double>(placement.resized.height) / placement.source.height;
  const double right = std::min(placement.square, placement.resized.width - placement.crop_x);
  const double below = std::min(placement.square, placement.resized.height - placement.crop_y);
  const BoxPx cut = {.x0 = std::clamp(box.x0 * fx - placement.crop_x, 0.0, right),
                     .y0 = std::clamp(box.y0 * fy - placement.crop_y, 0.0, below),
                     .x1 = std::clamp(box.x1 * fx - placement.crop_x, 0.0, right),
                     .y1 = std::clamp(box.y1 * fy - placement.crop_y, 0.0, below)};
  return cut.empty() ? BoxPx{} : cut;
}

// Masks, boxes and the unknown region of `sample`, through the tables of source
// pixels; `place_box` moves what has no mask.
template <typename PlaceBoxFunction>
void MoveSample(Sample& sample, absl::Span<const int> columns, absl::Span<const int> rows,
                int64_t min_area_px, const PlaceBoxFunction& place_box) {
  sample.size = {.height = static_cast<int>(rows.size()),
                 .width = static_cast<int>(columns.size())};
  std::vector<bool> keep;
  for (Annotation& annotation : sample.annotations) {
    annotation.stated_area_px.reset();
    annotation.stated_box.reset();
    if (annotation.mask.has_value()) {
      annotation.mask = SampleMask(*annotation.mask, columns, rows);
      annotation.box = TightBox(*annotation.mask);
      keep.push_back(MaskArea(*annotation.mask) >= std::max<int64_t>(1, min_area_px));
    } else {
      annotation.box = place_box(annotation.box);
      keep.push_back(!annotation.box.empty());
    }
  }
  if (sample.unknown.has_value()) {
    sample.unknown = SampleMask(*sample.unknown, columns, rows);
    if (MaskArea(*sample.unknown) == 0) sample.unknown.reset();
  }
  KeepAnnotations(sample, keep);
}

}  // namespace

absl::Status Validate(const JitterOptions& options) {
  if (options.size_px < 1 || options.size_px > kMaxSquare) {
    return InvalidField("size_px", absl::StrCat("must be between 1 and ", kMaxSquare));
  }
  if (!(options.min_scale > 0) || !(options.max_scale >= options.min_scale) ||
      !(options.max_scale <= 8)) {
    return InvalidField("min_scale", "scales must rise from above 0 to 8 at most");
  }
  if (!(options.flip >= 0) || !(options.flip <= 1)) {
    return InvalidField("flip", "must be between 0 and 1");
  }
  if (options.min_area_px < 0) return InvalidField("min_area_px", "must not be negative");
  return absl::OkStatus();
}

void KeepAnnotations(Sample& sample, const std::vector<bool>& keep) {
  std::vector<int> place(sample.annotations.size(), -1);
  int count = 0;
  for (size_t i = 0; i < keep.size(); ++i) {
    if (keep[i]) place[i] = count++;
  }
  std::vector<Annotation> kept;
  kept.reserve(count);
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    int parent = sample.annotations[i].parent;
    while (parent >= 0 && !keep[parent]) parent = sample.annotations[parent].parent;
    kept.push_back(sample.annotations[i]);
    kept.back().parent = parent < 0 ? -1 : place[parent];
  }
  sample.annotations = std::move(kept);
}

LoadedSample FlipHorizontally(const LoadedSample& source) {
  LoadedSample mirror = source;
  const ImageSize size = source.picture.size;
  for (int y = 0; y < size.height; ++y) {
    uint8_t* row = mirror.picture.pixels.data() + static_cast<size_t>(y) * size.width * 3;
    for (int x = 0; x < size.width; ++x) {
      std::memcpy(row + 3 * x, source.picture.row(y) + 3 * (size.width - 1 - x), 3);
    }
  }
  std::vector<int> columns, rows;
  for (int x = size.width - 1; x >= 0; --x) columns.push_back(x);
  for (int y = 0; y < size.height; ++y) rows.push_back(y);
  const double width = size.width;
  MoveSample(mirror.sample, columns, rows, /*min_area_px=*/1, [width](const BoxPx& box) {
    return BoxPx{.x0 = width - box.x1, .y0 = box.y0, .x1 = width - box.x0, .y1 = box.y1};
  });
  return mirror;
}

absl::StatusOr<LoadedSample> Jitter(const LoadedSample& source, const JitterOptions& options,
                                    Random& random) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  if (source.picture.size != source.sample.size || source.picture.size.area() <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.sample.name, ": picture and sample are of different sizes"));
  }
  const Placement placement = Place(source.picture.size, options, random);
  const std::vector<int> columns = SourcePixels(placement.source.width, placement.resized.width,
                                                placement.crop_x, placement.square);
  const std::vector<int> rows = SourcePixels(placement.source.height, placement.resized.height,
                                             placement.crop_y, placement.square);
  LoadedSample placed = {.picture = PlacePicture(source.picture, placement, options.padding),
                         .sample = source.sample};
  placed.sample.pixels = nullptr;
  MoveSample(placed.sample, columns, rows, options.min_area_px,
             [&](const BoxPx& box) { return PlaceBox(box, placement); });
  const PixelBox filled = {
      .width = std::min(placement.square, placement.resized.width - placement.crop_x),
      .height = std::min(placement.square, placement.resized.height - placement.crop_y)};
  AddUnknown(placed.sample, ComplementOf(BoxMask(filled, placed.sample.size)));
  return placement.mirror ? FlipHorizontally(placed) : std::move(placed);
}

}  // namespace semsam
