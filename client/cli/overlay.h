// The picture of a run: panels of the image with masks tinted and outlined,
// names written on them, prompts marked, scores in the title, and a legend of
// the words at the right.
//
// - Panels are drawn at a readable size whatever the image's: small images are
//   enlarged, large ones reduced. Text never leaves its panel.
// - Masks are painted large to small, so that small ones stay visible; tags come
//   last, in the order of the masks, and none covers another.
// - Memory is bounded by the picture and one mask at a time.
// - Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_OVERLAY_H_
#define SEMSAM_CLIENT_CLI_OVERLAY_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/legend.h"
#include "client/scene_types.h"
#include "client/types.h"

namespace semsam::client {

struct ColouredText {
  std::string text;
  Rgb colour = {245, 245, 245};
};

struct PaintedMask {
  const Mask* mask = nullptr;  // kCocoRle or kPackedBits; outlives the call
  Rgb colour;
  std::string tag;  // ASCII; empty: none
};

struct MapColour {
  Rgb colour;
  std::string tag;
};

struct Panel {
  std::vector<ColouredText> title;  // at least one
  std::vector<PaintedMask> masks;
  // Instead of masks: a panoptic map, and what its segments look like by id.
  const PanopticMap* map = nullptr;  // outlives the call
  std::map<int, MapColour> map_colours;
};

struct OverlayRequest {
  // Encoded image; empty, or a format that OpenCV does not read: the masks
  // stand on plain grey.
  std::string_view image_bytes;
  ImageSize image_size;         // as the server sees it
  std::vector<Prompt> prompts;  // pixels of image_size; marked in every panel
  std::vector<Panel> panels;    // 1 to kMaxPanels
  Legend legend;                // drawn if it has entries
};

inline constexpr size_t kMaxPanels = 24;

struct OverlayPicture {
  std::string png;
  bool has_image = false;  // false: plain grey background
};

absl::StatusOr<OverlayPicture> DrawOverlay(const OverlayRequest& request);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_OVERLAY_H_
