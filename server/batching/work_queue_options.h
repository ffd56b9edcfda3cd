// What a WorkQueue may hold, and who watches it.
#ifndef SEMSAM_SERVER_BATCHING_WORK_QUEUE_OPTIONS_H_
#define SEMSAM_SERVER_BATCHING_WORK_QUEUE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/batching/tenant_table.h"

namespace semsam {

// One class of work. A unit is what a class costs: queries, images, jobs.
struct WorkClassOptions {
  std::string name;
  int64_t max_entries = 256;    // queued entries
  int64_t max_units = 256;      // units queued; an entry above it can never enter
  int64_t max_batch_units = 1;  // units a batch; a larger entry goes alone
  // An entry that waited longer lets its class go first, once; 0: it waits as long as
  // classes before it have work.
  absl::Duration max_wait = absl::ZeroDuration();
};

struct WorkQueueOptions {
  // Highest priority first; an entry names its class by index.
  std::vector<WorkClassOptions> classes;
  // The weights of the flows.
  TenantTable tenants;
  // Of a class's bounds, what one flow may have: below 1 there is room for others, always.
  // A flow with nothing in the class may enter with one entry of any size.
  double max_flow_share = 1;
  // Refuse what an estimate says cannot be done by its deadline.
  bool check_deadlines = true;
  // What a refused caller is told to wait, where no estimate knows better.
  absl::Duration retry_after = absl::Milliseconds(250);

  // OK, or INVALID_ARGUMENT that names the first bad field.
  absl::Status Validate() const;
};

// Told of every change. Calls come under the queue's lock, so that the last
// number reported is the true one; they must be quick and never call back.
class WorkQueueObserver {
 public:
  virtual ~WorkQueueObserver() = default;
  virtual void OnDepth(int /*work_class*/, int64_t /*entries*/, int64_t /*units*/) {}
  virtual void OnTaken(int /*work_class*/, absl::Duration /*wait*/) {}
  virtual void OnBatch(int /*work_class*/, int64_t /*units*/) {}
  virtual void OnDropped(int /*work_class*/, absl::StatusCode /*why*/) {}
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_WORK_QUEUE_OPTIONS_H_
