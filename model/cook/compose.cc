#include "model/cook/compose.h"

#include <algorithm>
#include <map>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/augment.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

void Blend(const PlacedSprite& placed, Rgb8Image& picture) {
  const Rgba8Image& image = placed.sprite->image;
  const int top = std::max(0, -placed.y);
  const int bottom = std::min(image.size.height, picture.size.height - placed.y);
  const int left = std::max(0, -placed.x);
  const int right = std::min(image.size.width, picture.size.width - placed.x);
  for (int y = top; y < bottom; ++y) {
    const uint8_t* from = image.pixels.data() + 4 * static_cast<size_t>(y) * image.size.width;
    uint8_t* to = picture.pixels.data() +
                  3 * (static_cast<size_t>(y + placed.y) * picture.size.width + placed.x + left);
    for (int x = left; x < right; ++x, to += 3) {
      const int alpha = from[4 * x + 3];
      for (int c = 0; c < 3; ++c) {
        to[c] = static_cast<uint8_t>((from[4 * x + c] * alpha + to[c] * (255 - alpha) + 127) / 255);
      }
    }
  }
}

// `mask` of a sprite in the frame of the picture, cut at its edges.
RunLengths Place(const RunLengths& mask, int x, int y, ImageSize size) {
  const int left = std::max(0, x), right = std::min(size.width, x + mask.size.width);
  const int top = std::max(0, y), bottom = std::min(size.height, y + mask.size.height);
  if (left >= right || top >= bottom) return EmptyMask(size);
  const PixelBox window{.x = left, .y = top, .width = right - left, .height = bottom - top};
  const BinaryMask pixels = DecodeWindow(
      mask, {.x = left - x, .y = top - y, .width = window.width, .height = window.height});
  // Canonical, whatever the window begins with.
  return UnionOf(EncodeWindow(pixels, window, size), EmptyMask(size));
}

class Composer {
 public:
  Composer(const ComposeOptions& options, ImageSize size) : options_(options), size_(size) {
    sample_.size = size;
  }

  LoadedSample Run(Backdrop backdrop, const std::vector<PlacedSprite>& sprites) && {
    for (const PlacedSprite& placed : sprites) Blend(placed, backdrop.picture);
    const std::vector<RunLengths> hidden = HiddenOf(sprites);
    AddRows(sprites, hidden);
    for (size_t i = 0; i < sprites.size(); ++i) AddSprite(sprites[i], hidden[i]);
    KeepAnnotations(sample_, keep_);
    const RunLengths bare = Unannotated(sample_);
    // Sprites that are hardly to be seen are there all the same.
    AddUnknown(sample_, backdrop.empty ? IntersectionOf(bare, covered_) : bare);
    return {.picture = std::move(backdrop.picture), .sample = std::move(sample_)};
  }

 private:
  // What lies before each sprite.
  std::vector<RunLengths> HiddenOf(const std::vector<PlacedSprite>& sprites) {
    std::vector<RunLengths> hidden(sprites.size());
    covered_ = EmptyMask(size_);
    for (size_t i = sprites.size(); i-- > 0;) {
      hidden[i] = covered_;
      const PlacedSprite& placed = sprites[i];
      covered_ = UnionOf(covered_, Place(placed.sprite->masks[0].mask, placed.x, placed.y, size_));
    }
    return hidden;
  }

  void AddRows(const std::vector<PlacedSprite>& sprites, const std::vector<RunLengths>& hidden) {
    std::map<int, RunLengths> rows;
    for (size_t i = 0; i < sprites.size(); ++i) {
      const PlacedSprite& placed = sprites[i];
      if (placed.row < 0) continue;
      RunLengths visible =
          DifferenceOf(Place(placed.sprite->masks[0].mask, placed.x, placed.y, size_), hidden[i]);
      RunLengths& row = rows.try_emplace(placed.row, EmptyMask(size_)).first->second;
      row = UnionOf(row, visible);
    }
    for (auto& [number, mask] : rows) {
      row_of_[number] = static_cast<int>(sample_.annotations.size());
      Add({.mask = std::move(mask)}, /*parent=*/-1, /*keep=*/true);
    }
  }

  void AddSprite(const PlacedSprite& placed, const RunLengths& hidden) {
    const int base = static_cast<int>(sample_.annotations.size());
    const std::vector<SpriteMask>& masks = placed.sprite->masks;
    bool seen = true;
    for (size_t i = 0; i < masks.size(); ++i) {
      SpriteMask mask = masks[i];
      const auto whole_area = static_cast<double>(MaskArea(mask.mask));
      mask.mask = DifferenceOf(Place(mask.mask, placed.x, placed.y, size_), hidden);
      if (i == 0) {
        seen = static_cast<double>(MaskArea(mask.mask)) >= options_.min_visible_share * whole_area;
      }
      int parent = placed.row < 0 ? -1 : row_of_[placed.row];
      if (i > 0) parent = base + std::max(0, mask.parent);
      Add(std::move(mask), parent, seen);
    }
  }

  void Add(SpriteMask mask, int parent, bool keep) {
    const int64_t area = MaskArea(mask.mask);
    keep = keep && area >= options_.min_area_px;
    const bool bare = mask.object_name.empty() && mask.part_name.empty();
    if (keep && bare && parent >= 0) {
      keep = MaskIou(mask.mask, *sample_.annotations[parent].mask) <= options_.max_iou;
    }
    keep_.push_back(keep);
    Annotation annotation{.id = static_cast<int64_t>(sample_.annotations.size()) + 1,
                          .object_name = std::move(mask.object_name),
                          .part_name = std::move(mask.part_name),
                          .parent = parent};
    annotation.box = TightBox(mask.mask);
    annotation.mask = std::move(mask.mask);
    sample_.annotations.push_back(std::move(annotation));
  }

  const ComposeOptions& options_;
  const ImageSize size_;
  Sample sample_;
  std::vector<bool> keep_;     // one an annotation
  std::map<int, int> row_of_;  // number of a row -> annotation
  RunLengths covered_;         // by any sprite
};

}  // namespace

absl::Status Validate(const ComposeOptions& options) {
  if (options.min_area_px < 1) return InvalidField("min_area_px", "must be positive");
  for (const double share : {options.min_visible_share, options.max_iou}) {
    if (!(share >= 0) || !(share <= 1)) {
      return InvalidField("min_visible_share", "shares must be between 0 and 1");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadedSample> Compose(Backdrop backdrop, const std::vector<PlacedSprite>& sprites,
                                     const ComposeOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  const ImageSize size = backdrop.picture.size;
  return Composer(options, size).Run(std::move(backdrop), sprites);
}

}  // namespace semsam
