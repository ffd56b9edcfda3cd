// A stream of clicks: what Client::Segment does, for a hand that moves.
//
//   auto stream = client->Interact(
//       {.session_id = session_id, .image_id = image_id, .options = {.levels = {3}}},
//       {.on_mask = [&](uint64_t id, semsam::client::Mask mask) { ... },
//        .on_answer = [&](uint64_t id, auto summary) { ... }});
//   while (dragging) (*stream)->Click(++id, {{.shape = position}}, /*latest_wins=*/true);
//   absl::Status ended = (*stream)->Finish();
//
// - Every click for which Click returned OK gets on_answer exactly once, last of its
//   events, with the summary or with its own error; other clicks and the stream go on.
// - When the stream ends (the server drains or finds it too old, the connection
//   breaks), every open click is answered with the stream's error: open another and
//   click again.
// - Events run on a thread of the stream, one at a time. They may call Click, Start
//   and Cancel, but not Finish, must not destroy the stream, and must not throw. While
//   one runs nothing is read: a slow one slows the server's answers down.
#ifndef SEMSAM_CLIENT_INTERACT_H_
#define SEMSAM_CLIENT_INTERACT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/types.h"

namespace semsam::client {

// What the clicks after it are about.
struct InteractStart {
  std::string session_id;
  std::string image_id;  // of an earlier upload in this session
  PromptOptions options;
  LabelOptions labels;
};

struct InteractEvents {
  std::function<void(uint64_t id, Mask mask)> on_mask;                     // may be null
  std::function<void(uint64_t id, const Progress& progress)> on_progress;  // may be null
  std::function<void(uint64_t id, absl::StatusOr<SegmentSummary> summary)> on_answer;
};

// Thread-safe. Made by Client::Interact, which must outlive it.
class InteractStream {
 public:
  // Cancels what is open and waits for the events to end.
  virtual ~InteractStream() = default;

  // Another image, or other options; clicks sent before keep theirs.
  virtual absl::Status Start(const InteractStart& start) = 0;

  // Sends a click under an id that no open click has. Of those with `latest_wins` the
  // server works on one at a time and keeps only the newest waiting; one that waited
  // when a newer came is answered ABORTED ("SUPERSEDED"). Blocks while the server reads
  // no more because its answers are not read. INVALID_ARGUMENT for an id that is open;
  // else the stream's end.
  virtual absl::Status Click(uint64_t id, const std::vector<Prompt>& prompts,
                             bool latest_wins = false) = 0;

  // The click is answered with CANCELLED, unless its answer is already on its way.
  virtual absl::Status Cancel(uint64_t id) = 0;

  // No more clicks: waits for the answers of those that are open, and returns how the
  // stream ended.
  virtual absl::Status Finish() = 0;
};

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_INTERACT_H_
