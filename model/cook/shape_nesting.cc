#include "model/cook/shape_nesting.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/components.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

bool BoxesMeet(const PixelBox& a, const PixelBox& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

// A mask with what is asked for again and again.
struct Measured {
  int64_t area = 0;
  PixelBox box;
};

Measured Measure(const RunLengths& mask) {
  return {.area = MaskArea(mask), .box = BoundingBox(mask)};
}

int64_t Shared(const RunLengths& a, const Measured& of_a, const RunLengths& b,
               const Measured& of_b) {
  return BoxesMeet(of_a.box, of_b.box) ? SharedArea(a, b) : 0;
}

class Nester {
 public:
  Nester(const SvgDrawing& drawing, const NestingOptions& options)
      : drawing_(drawing), options_(options), visible_(VisibleShapes(drawing)) {
    for (const RunLengths& mask : visible_) measured_.push_back(Measure(mask));
  }

  absl::StatusOr<std::vector<SpriteMask>> Run() {
    RunLengths whole = Coverage(drawing_.image);
    for (const RunLengths& mask : visible_) whole = UnionOf(whole, mask);
    if (MaskArea(whole) < options_.min_area_px) {
      return absl::OutOfRangeError("it draws next to nothing");
    }
    Add(std::move(whole));
    AddGroups();
    AddShapesWithAllUponThem();
    AddNeighboursOfOneColour();
    for (const RunLengths& mask : visible_) Add(mask);
    SEMSAM_RETURN_IF_ERROR(AddPieces());
    return NestMasks(std::move(masks_), options_);
  }

 private:
  void Add(RunLengths mask) { masks_.push_back({.mask = std::move(mask)}); }

  // Inner groups come after outer ones.
  void AddGroups() {
    const RunLengths empty = EmptyMask(drawing_.image.size);
    std::vector<RunLengths> of_group(drawing_.groups.size(), empty);
    for (size_t i = 0; i < visible_.size(); ++i) {
      const int group = drawing_.shapes[i].group;
      if (group >= 0) of_group[group] = UnionOf(of_group[group], visible_[i]);
    }
    for (size_t g = of_group.size(); g-- > 0;) {
      const int parent = drawing_.groups[g].parent;
      if (parent >= 0) of_group[parent] = UnionOf(of_group[parent], of_group[g]);
    }
    for (RunLengths& mask : of_group) Add(std::move(mask));
  }

  void AddShapesWithAllUponThem() {
    std::vector<Measured> silhouettes;
    for (const SvgShape& shape : drawing_.shapes) silhouettes.push_back(Measure(shape.silhouette));
    for (size_t i = 0; i < visible_.size(); ++i) {
      RunLengths mask = visible_[i];
      bool more = false;
      for (size_t k = i + 1; k < visible_.size(); ++k) {
        if (measured_[k].area == 0) continue;
        const int64_t shared = Shared(drawing_.shapes[i].silhouette, silhouettes[i],
                                      drawing_.shapes[k].silhouette, silhouettes[k]);
        if (static_cast<double>(shared) <
            options_.upon_share * static_cast<double>(silhouettes[k].area)) {
          continue;
        }
        mask = UnionOf(mask, visible_[k]);
        more = true;
      }
      if (more) Add(std::move(mask));
    }
  }

  // Mean colour of what a shape shows.
  std::vector<std::array<double, 3>> Colours(const std::vector<int>& owner) const {
    std::vector<std::array<double, 3>> sums(visible_.size(), {0, 0, 0});
    std::vector<int64_t> counts(visible_.size(), 0);
    for (size_t at = 0; at < owner.size(); ++at) {
      if (owner[at] < 0) continue;
      ++counts[owner[at]];
      for (int c = 0; c < 3; ++c) sums[owner[at]][c] += drawing_.image.pixels[4 * at + c];
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      for (double& value : sums[i]) value /= std::max<double>(1, static_cast<double>(counts[i]));
    }
    return sums;
  }

  // The topmost shape of every pixel; -1: none.
  std::vector<int> Owners() const {
    std::vector<int> owner(static_cast<size_t>(drawing_.image.size.area()), -1);
    for (size_t i = 0; i < visible_.size(); ++i) {
      const BinaryMask mask = DecodeRunLengths(visible_[i]);
      for (size_t at = 0; at < owner.size(); ++at) {
        if (mask.pixels[at] != 0) owner[at] = static_cast<int>(i);
      }
    }
    return owner;
  }

  void AddNeighboursOfOneColour() {
    const std::vector<int> owner = Owners();
    const std::vector<std::array<double, 3>> colours = Colours(owner);
    std::vector<int> leader(visible_.size());
    std::iota(leader.begin(), leader.end(), 0);
    const auto find = [&leader](int i) {
      while (leader[i] != i) i = leader[i];
      return i;
    };
    const auto join = [&](int a, int b) {
      if (a < 0 || b < 0 || a == b) return;
      double distance = 0;
      for (int c = 0; c < 3; ++c) distance += std::pow(colours[a][c] - colours[b][c], 2);
      if (std::sqrt(distance) > options_.max_colour_distance) return;
      a = find(a);
      b = find(b);
      leader[std::max(a, b)] = std::min(a, b);
    };
    const int height = drawing_.image.size.height, width = drawing_.image.size.width;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const size_t at = static_cast<size_t>(y) * width + x;
        if (x + 1 < width) join(owner[at], owner[at + 1]);
        if (y + 1 < height) join(owner[at], owner[at + width]);
      }
    }
    std::map<int, RunLengths> joined;
    for (int i = 0; i < static_cast<int>(visible_.size()); ++i) {
      if (const int first = find(i); first != i) {
        joined.try_emplace(first, visible_[first]);
        joined[first] = UnionOf(joined[first], visible_[i]);
      }
    }
    for (auto& [first, mask] : joined) Add(std::move(mask));
  }

  absl::Status AddPieces() {
    for (size_t i = 0; i < visible_.size(); ++i) {
      if (measured_[i].area < 2 * options_.min_area_px) continue;
      SEMSAM_ASSIGN_OR_RETURN(std::vector<RunLengths> pieces,
                              ConnectedComponents(visible_[i], options_.min_area_px));
      if (pieces.size() < 2) continue;
      for (RunLengths& piece : pieces) Add(std::move(piece));
    }
    return absl::OkStatus();
  }

  const SvgDrawing& drawing_;
  const NestingOptions& options_;
  const std::vector<RunLengths> visible_;
  std::vector<Measured> measured_;  // of visible_
  std::vector<SpriteMask> masks_;
};

// Whether a mask like `mask` is among those kept.
bool HasTwin(const std::vector<SpriteMask>& kept, const std::vector<Measured>& measured,
             const RunLengths& mask, const Measured& of_mask, double max_iou) {
  for (size_t i = 0; i < kept.size(); ++i) {
    const auto smaller = static_cast<double>(std::min(measured[i].area, of_mask.area));
    const auto larger = static_cast<double>(std::max(measured[i].area, of_mask.area));
    if (smaller <= max_iou * larger) continue;
    const auto shared = static_cast<double>(Shared(kept[i].mask, measured[i], mask, of_mask));
    if (shared > max_iou * (smaller + larger - shared)) return true;
  }
  return false;
}

}  // namespace

absl::Status Validate(const NestingOptions& options) {
  if (options.min_area_px < 1) return InvalidField("min_area_px", "must be positive");
  for (const double share : {options.max_iou, options.upon_share, options.inside_share}) {
    if (!(share > 0) || !(share <= 1)) {
      return InvalidField("max_iou", "shares must be above 0 and at most 1");
    }
  }
  if (!(options.max_colour_distance >= 0)) {
    return InvalidField("max_colour_distance", "must not be negative");
  }
  if (options.max_masks < 1 || options.max_masks > 1000) {
    return InvalidField("max_masks", "must be between 1 and 1000");
  }
  return absl::OkStatus();
}

std::vector<RunLengths> VisibleShapes(const SvgDrawing& drawing) {
  std::vector<RunLengths> visible(drawing.shapes.size());
  RunLengths above = EmptyMask(drawing.image.size);
  for (size_t i = drawing.shapes.size(); i-- > 0;) {
    const SvgShape& shape = drawing.shapes[i];
    visible[i] = DifferenceOf(shape.silhouette, above);
    if (shape.opaque) above = UnionOf(above, shape.silhouette);
  }
  return visible;
}

std::vector<SpriteMask> NestMasks(std::vector<SpriteMask> masks, const NestingOptions& options) {
  std::vector<SpriteMask> kept;
  std::vector<Measured> measured;
  for (SpriteMask& mask : masks) {
    const Measured of_mask = Measure(mask.mask);
    if (of_mask.area < options.min_area_px) continue;
    if (HasTwin(kept, measured, mask.mask, of_mask, options.max_iou)) continue;
    kept.push_back(std::move(mask));
    measured.push_back(of_mask);
  }
  std::vector<size_t> order(kept.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (!order.empty()) {
    std::stable_sort(order.begin() + 1, order.end(),
                     [&](size_t a, size_t b) { return measured[a].area > measured[b].area; });
  }
  order.resize(std::min<size_t>(order.size(), options.max_masks));
  std::vector<SpriteMask> nested;
  for (size_t i = 0; i < order.size(); ++i) {
    SpriteMask& mask = kept[order[i]];
    const Measured& of_mask = measured[order[i]];
    mask.parent = i == 0 ? -1 : 0;
    for (size_t k = i; k-- > 1;) {  // the smallest that holds it: they fall in area
      const auto shared =
          static_cast<double>(Shared(nested[k].mask, measured[order[k]], mask.mask, of_mask));
      if (shared < options.inside_share * static_cast<double>(of_mask.area)) continue;
      mask.parent = static_cast<int>(k);
      break;
    }
    nested.push_back(std::move(mask));
  }
  return nested;
}

absl::StatusOr<std::vector<SpriteMask>> NestShapes(const SvgDrawing& drawing,
                                                   const NestingOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  return Nester(drawing, options).Run();
}

}  // namespace semsam
