#include "model/cook/backdrops.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/data/sample.h"
#include "model/data/scene_paint.h"
#include "model/image/resize.h"

namespace semsam {
namespace {

constexpr int kMaxNoise = 10;  // of 255

Rgb8Image Crop(const Rgb8Image& image, int x, int y, ImageSize size) {
  Rgb8Image crop{.size = size};
  crop.pixels.reserve(static_cast<size_t>(size.area()) * 3);
  for (int row = y; row < y + size.height; ++row) {
    const uint8_t* from = image.row(row) + static_cast<ptrdiff_t>(3) * x;
    crop.pixels.insert(crop.pixels.end(), from, from + static_cast<ptrdiff_t>(3) * size.width);
  }
  return crop;
}

}  // namespace

Backdrop PaintedBackdrop(ImageSize size, Random& random) {
  ScenePainter painter(size);
  painter.Paint({.kind = ShapeKind::kBox,
                 .x1 = static_cast<double>(size.width),
                 .y1 = static_cast<double>(size.height)},
                /*label=*/1, RandomSurface(/*texture_chance=*/0.5, random));
  if (random.Chance(0.6)) painter.Shade(random);
  if (random.Chance(0.3)) painter.AddNoise(static_cast<int>(random.Below(kMaxNoise)), random);
  return {.picture = std::move(painter).TakePicture()};
}

absl::Status Photographs::Add(const Dataset& dataset, absl::Span<const size_t> indices,
                              size_t limit) {
  const size_t count = std::min(limit, indices.size());
  for (size_t i = 0; i < count; ++i) {
    if (photographs_.size() == kMaxPhotographs) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxPhotographs, " photographs"));
    }
    SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded,
                            LoadWithPicture(dataset, indices[i * indices.size() / count]));
    const ImageSize size = loaded.picture.size;
    if (std::min(size.height, size.width) > kShortSidePx) {
      loaded.picture = ResizeBicubic(loaded.picture, NetworkSize(size, kShortSidePx));
    }
    photographs_.push_back({.picture = std::move(loaded.picture),
                            .empty = false,
                            .licence = std::move(loaded.sample.licence),
                            .source = std::move(loaded.sample.source)});
  }
  return absl::OkStatus();
}

Backdrop Photographs::Draw(ImageSize size, Random& random) const {
  const Backdrop& chosen = photographs_[random.Below(photographs_.size())];
  const ImageSize all = chosen.picture.size;
  const double fit = std::min(static_cast<double>(all.height) / size.height,
                              static_cast<double>(all.width) / size.width);
  const double scale = fit * random.Uniform(0.5, 1);
  const auto side = [scale](int wanted, int there) {
    return std::clamp(static_cast<int>(std::lround(wanted * scale)), 1, there);
  };
  const ImageSize crop{.height = side(size.height, all.height),
                       .width = side(size.width, all.width)};
  const auto x = static_cast<int>(random.Below(all.width - crop.width + 1));
  const auto y = static_cast<int>(random.Below(all.height - crop.height + 1));
  Backdrop backdrop{.empty = false, .licence = chosen.licence, .source = chosen.source};
  backdrop.picture = ResizeBicubic(Crop(chosen.picture, x, y, crop), size);
  return backdrop;
}

}  // namespace semsam
