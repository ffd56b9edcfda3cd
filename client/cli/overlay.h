// The picture of a run: one panel a granularity level, masks tinted and
// outlined in the colour of their prompt, prompts marked, scores in the title.
//
// - Panels are drawn at a readable size whatever the image's: small images are
//   enlarged, large ones reduced. Text never leaves its panel.
// - Memory is bounded by the picture and one mask at a time.
// - Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_OVERLAY_H_
#define SEMSAM_CLIENT_CLI_OVERLAY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/types.h"

namespace semsam::client {

struct OverlayRequest {
  // Encoded image; empty, or a format that OpenCV does not read: the masks
  // stand on plain grey.
  std::string_view image_bytes;
  ImageSize image_size;         // as the server sees it
  std::vector<Prompt> prompts;  // pixels of image_size
  std::vector<Mask> masks;      // kCocoRle or kPackedBits
  // One panel each, in this order; at most kMaxPanels.
  std::vector<GranularityLevel> levels;
};

inline constexpr size_t kMaxPanels = 24;

struct OverlayPicture {
  std::string png;
  bool has_image = false;  // false: plain grey background
};

absl::StatusOr<OverlayPicture> DrawOverlay(const OverlayRequest& request);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_OVERLAY_H_
