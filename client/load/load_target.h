// What a load test makes its calls to.
#ifndef SEMSAM_CLIENT_LOAD_LOAD_TARGET_H_
#define SEMSAM_CLIENT_LOAD_LOAD_TARGET_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/load/load_plan.h"

namespace semsam::load {

struct CallRequest {
  CallKind kind = CallKind::kClick;
  size_t session = 0;      // number within the plan; calls of one session share a connection
  std::string session_id;  // of all but kCreate
  std::string image_id;    // of clicks and kEverything
  float x = 0;             // of clicks: share of the picture's width and height
  float y = 0;
  std::shared_ptr<const std::string> picture;  // of kUpload: encoded bytes
};

struct CallAnswer {
  absl::Status status;  // with the details of client/errors.h
  std::string id;       // of the session created, of the image uploaded
  absl::Time end;
  std::optional<absl::Time> first_result;  // of clicks and kEverything: the first mask
};

// A call under way. Thread-safe.
class LoadCall {
 public:
  virtual ~LoadCall() = default;
  // Ends it with CANCELLED, unless its answer is there already.
  virtual void Cancel() = 0;
};

// Thread-safe.
class LoadTarget {
 public:
  using Done = std::function<void(CallAnswer)>;

  virtual ~LoadTarget() = default;
  // Never blocks. `done` runs exactly once, on any thread and perhaps before Start or
  // Cancel returns; the call ends by itself at its deadline. Whoever starts a call
  // keeps it until `done` has run.
  virtual std::shared_ptr<LoadCall> Start(const CallRequest& request, Done done) = 0;
};

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_LOAD_TARGET_H_
