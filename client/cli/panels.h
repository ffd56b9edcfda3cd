// What the picture of a run shows: the panels of client/cli/overlay.h, made from
// a report.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_CLIENT_CLI_PANELS_H_
#define SEMSAM_CLIENT_CLI_PANELS_H_

#include <string_view>
#include <vector>

#include "client/cli/overlay.h"
#include "client/cli/report.h"

namespace semsam::client {

// kPrompts: one panel a level, of `levels` or else all the model's, in the
// colour of the best word or else of the prompt. kWords: one panel a kind of
// answer. kEverything: one panel; where words were asked for, masks without one
// are grey. The result points into `report`.
OverlayRequest MakeOverlay(const SegmentReport& report, const std::vector<int>& levels,
                           std::string_view image_bytes);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_PANELS_H_
