// How long the worker behind a queue takes for what, at best.
//
// Deadlines are judged by it, so it errs on the side of admitting: it follows a shorter
// run at once, and a longer one slowly and by little, however long that was. A first run
// that had to warm up, or one that the machine slept through, leaves hardly a trace. What
// it knows of a class gets old: see Old.
// Thread-safe.
#ifndef SEMSAM_SERVER_BATCHING_SERVICE_ESTIMATE_H_
#define SEMSAM_SERVER_BATCHING_SERVICE_ESTIMATE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "model/base/mutex.h"

namespace semsam {

class ServiceEstimate {
 public:
  // Runs of a class before anything is said about it.
  static constexpr int kMinRuns = 3;
  static constexpr absl::Duration kMaxAge = absl::Seconds(10);

  // Of a queue of so many classes.
  explicit ServiceEstimate(size_t classes) : classes_(classes) {}

  // The worker began a batch; and ended it, which may be said twice. One at a time.
  void Started(int work_class, int64_t units, absl::Time now);
  void Finished(absl::Time now);

  // What a batch of `units` takes; nullopt as long as too few were seen.
  std::optional<absl::Duration> Run(int work_class, int64_t units) const;
  // What so many units take in the best batches seen; nothing as long as that is unknown.
  absl::Duration Backlog(int work_class, int64_t units) const;
  // Until the batch under way ends.
  absl::Duration RestOfRun(absl::Time now) const;
  // The class of the batch under way.
  std::optional<int> RunningClass() const;
  // Whether no batch of the class ran for kMaxAge, nor does now. Then one must be let in
  // whatever the estimate says: refusals would keep it from ever learning better.
  bool Old(int work_class, absl::Time now) const;

 private:
  // Falls at once, rises by an eighth at most.
  class Floor {
   public:
    void Add(absl::Duration sample);
    absl::Duration value() const { return value_; }

   private:
    absl::Duration value_ = absl::InfiniteDuration();
  };
  struct ClassState {
    int runs = 0;
    Floor batch;
    Floor unit;
    absl::Time last = absl::InfinitePast();  // when the last run ended
  };
  struct Running {
    int work_class = 0;
    int64_t units = 0;
    absl::Time start;
  };

  std::optional<absl::Duration> RunLocked(int work_class, int64_t units) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::vector<ClassState> classes_ ABSL_GUARDED_BY(mutex_);
  std::optional<Running> running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_SERVICE_ESTIMATE_H_
