// The first run of the model on each device, before anybody waits for it.
#ifndef SEMSAM_SERVER_APP_WARM_UP_H_
#define SEMSAM_SERVER_APP_WARM_UP_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/pipeline/engine.h"

namespace semsam {

// Encodes a square picture and decodes a click on it on each device, the way a call does:
// memory is touched, kernels are chosen, and the log says how long it took. Returns at once;
// `done` runs exactly once, with the first failure if there is one, on any thread, at the
// latest in the engine's Shutdown.
void WarmUp(Engine& engine, absl::AnyInvocable<void(const absl::Status&)> done);

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_WARM_UP_H_
