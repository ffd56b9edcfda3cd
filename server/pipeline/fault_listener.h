// Who must know that a device is lost.
#ifndef SEMSAM_SERVER_PIPELINE_FAULT_LISTENER_H_
#define SEMSAM_SERVER_PIPELINE_FAULT_LISTENER_H_

#include "absl/status/status.h"

namespace semsam {

class FaultListener {
 public:
  virtual ~FaultListener() = default;

  // No call of the model will succeed any more on this device. Runs once a worker, on its
  // thread; must be quick and must not wait for it. Workers of other devices go on.
  virtual void OnDeviceFault(const absl::Status& why) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_FAULT_LISTENER_H_
