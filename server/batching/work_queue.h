// A bounded queue of several classes of work in front of a worker that takes
// batches: clicks before encodes, what is there now instead of a timer.
//
// Invariants
//   1. A class never holds more than max_entries entries or max_units units; a
//      full class refuses at once and leaves the entry with its owner. So does one
//      of which the entry's flow has its share.
//   2. An entry that was accepted leaves in exactly one way: taken, or dropped.
//      `drop` runs once, with no lock held, and never for an entry that was taken
//      or refused.
//   3. Within a class flows take turns by their weight (FlowQueue); the entries of one
//      flow leave in the order they came, but for those whose key no batch took yet.
//   4. A batch holds one class: the first, in priority order, that has a living
//      entry. It holds at most max_batch_units, or one single larger entry, and
//      entries of one batch key: the first's.
//      A class with an entry that waited longer than max_wait goes before the others,
//      but not twice in a row: neither starves.
//   5. An entry whose `check` failed is never taken.
//      Nor is one let in that its deadline leaves no time, as far as a ServiceEstimate
//      knows: what is queued before it, the rest of the batch under way, and itself.
//   6. After Close no entry enters.
//
// Time enters through the Clock alone; nothing here waits for time to pass.
// Thread-safe; any number of threads may push and take.
#ifndef SEMSAM_SERVER_BATCHING_WORK_QUEUE_H_
#define SEMSAM_SERVER_BATCHING_WORK_QUEUE_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "model/base/status_macros.h"
#include "server/batching/flow_queue.h"
#include "server/batching/service_estimate.h"
#include "server/batching/tenant_id.h"
#include "server/batching/work_queue_options.h"

namespace semsam {

template <typename Task>
class WorkQueue {
 public:
  struct Entry {
    Task task;
    int64_t units = 1;
    // What may be in one batch: equal keys; 0 goes with any.
    uint64_t batch_key = 0;
    // Whose work it is: tenants share the worker by their weights.
    TenantId flow;
    // When its answer must be there. Judged on the way in alone: `check` says when it
    // has passed.
    absl::Time deadline = absl::InfiniteFuture();
    // OK while somebody waits for the answer. May run under the queue's lock: it
    // must be quick and never call the queue. Not called again after it failed.
    absl::AnyInvocable<absl::Status(absl::Time now)> check;
    // Answers the caller of an entry that will not run.
    absl::AnyInvocable<void(absl::Status why)> drop;
  };

  struct Taken {
    Task task;
    absl::Duration wait;  // from push to now
  };

  struct Batch {
    int work_class = 0;
    int64_t units = 0;
    std::vector<Taken> entries;
  };

  enum class CloseMode {
    kDrain,   // what is queued still runs
    kReject,  // what is queued is dropped
  };

  // `options` are valid; `clock`, `observer` and `estimate` (of the worker; both may be
  // null) outlive the queue.
  WorkQueue(WorkQueueOptions options, const Clock& clock, WorkQueueObserver* observer = nullptr,
            const ServiceEstimate* estimate = nullptr)
      : options_(std::move(options)),
        clock_(clock),
        observer_(observer),
        estimate_(estimate),
        classes_(options_.classes.size()) {}

  // Drops what is left.
  ~WorkQueue() { Close(CloseMode::kReject); }

  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Queues `entry`, or says why not and leaves it untouched, `drop` included:
  // RESOURCE_EXHAUSTED (with a retry hint) when the class or the flow's share of it is
  // full, that of CheckDeadline, UNAVAILABLE
  // after Close, or the failure of `check`.
  absl::Status Push(int work_class, Entry& entry) {
    std::vector<Dropped> dropped;
    absl::Status status;
    {
      MutexLock lock(mutex_);
      status = PushLocked(work_class, entry, dropped);
    }
    AnswerDropped(dropped);
    return status;
  }

  // Whether work of so many units could be done by `deadline` if it came now. Late for
  // what waits before it: RESOURCE_EXHAUSTED with a hint how much; late even if nothing
  // did: DEADLINE_EXCEEDED; both with the reason DEADLINE_UNMEETABLE. OK as long as
  // nothing is known.
  absl::Status CheckDeadline(int work_class, int64_t units, const TenantId& flow,
                             absl::Time deadline) {
    std::vector<Dropped> dropped;
    absl::Status status;
    {
      MutexLock lock(mutex_);
      status = CheckDeadlineLocked(work_class, units, flow, deadline, clock_.Now(), dropped);
    }
    AnswerDropped(dropped);
    return status;
  }

  // How long a caller should stay away who found the class full: about until what is in
  // it is done.
  absl::Duration RetryAfter(int work_class) const {
    MutexLock lock(mutex_);
    return RetryAfterLocked(work_class);
  }

  // Until the worker is done with what goes before new work of the class, at best; nothing
  // as long as no estimate knows.
  absl::Duration Wait(int work_class) const {
    MutexLock lock(mutex_);
    if (estimate_ == nullptr) return absl::ZeroDuration();
    return Before(work_class, /*flow=*/nullptr, clock_.Now());
  }

  // The same where `under_way` units of the class run, are queued, or are about to come.
  absl::Duration WaitBehind(int work_class, int64_t under_way) const {
    MutexLock lock(mutex_);
    if (estimate_ == nullptr) return absl::ZeroDuration();
    const absl::Duration rest = estimate_->RunningClass() == work_class
                                    ? absl::ZeroDuration()
                                    : estimate_->RestOfRun(clock_.Now());
    return BeforeClass(work_class, rest) + estimate_->Backlog(work_class, under_way);
  }

  // Entries of all classes.
  int64_t entries() const {
    MutexLock lock(mutex_);
    int64_t sum = 0;
    for (const ClassQueue& one : classes_) sum += one.load().entries;
    return sum;
  }

  // Waits for work; nullopt once the queue is closed and empty.
  std::optional<Batch> TakeBatch() {
    return TakeBatchOf(static_cast<int>(options_.classes.size()));
  }

  // The same for a taker who is there for the first `count` classes alone.
  std::optional<Batch> TakeBatchOf(int count) {
    while (true) {
      std::vector<Dropped> dropped;
      std::optional<Batch> batch;
      bool finished = false;
      {
        MutexLock lock(mutex_);
        CondVar& arrived =
            static_cast<size_t>(count) < classes_.size() ? some_arrived_ : work_arrived_;
        while (!closed_ && Empty(count)) arrived.Wait(mutex_);
        batch = FormBatch(count, dropped);
        finished = !batch.has_value() && closed_ && Empty(count);
      }
      AnswerDropped(dropped);
      if (batch.has_value() || finished) return batch;
    }
  }

  // Drops every entry whose check fails, so that its caller need not wait for
  // the worker; returns how many.
  int DropDead() {
    std::vector<Dropped> dropped;
    {
      MutexLock lock(mutex_);
      const absl::Time now = clock_.Now();
      for (size_t i = 0; i < classes_.size(); ++i) RemoveDead(i, now, dropped);
    }
    AnswerDropped(dropped);
    return static_cast<int>(dropped.size());
  }

  // Refuses new entries from now on, and drops others, with `why`. May be called again,
  // kDrain then kReject included; the first reason stays.
  void Close(CloseMode mode, absl::Status why = Draining()) {
    std::vector<Dropped> dropped;
    {
      MutexLock lock(mutex_);
      if (!closed_) closed_why_ = std::move(why);
      closed_ = true;
      if (mode == CloseMode::kReject) {
        for (size_t i = 0; i < classes_.size(); ++i) RemoveAll(i, dropped);
      }
      work_arrived_.NotifyAll();
      some_arrived_.NotifyAll();
    }
    AnswerDropped(dropped);
  }

  int64_t entries(int work_class) const {
    MutexLock lock(mutex_);
    return classes_[work_class].load().entries;
  }
  int64_t units(int work_class) const {
    MutexLock lock(mutex_);
    return classes_[work_class].load().units;
  }

 private:
  static constexpr absl::Duration kShortestRetry = absl::Milliseconds(50);
  static constexpr absl::Duration kLongestRetry = absl::Seconds(5);

  using ClassQueue = FlowQueue<Entry>;
  using Slot = typename ClassQueue::Slot;
  struct Dropped {
    Entry entry;
    absl::Status why;
  };

  static absl::Status Draining() {
    return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                           "the server is shutting down");
  }

  static void AnswerDropped(std::vector<Dropped>& dropped) {
    for (Dropped& item : dropped) item.entry.drop(std::move(item.why));
  }

  absl::Status PushLocked(int work_class, Entry& entry, std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (closed_) return closed_why_;
    const absl::Time now = clock_.Now();
    if (absl::Status status = entry.check(now); !status.ok()) return status;
    // Entries that nobody waits for make room for one that somebody does.
    if (!CheckRoom(work_class, entry).ok()) RemoveDead(work_class, now, dropped);
    if (absl::Status status = CheckRoom(work_class, entry); !status.ok()) return status;
    SEMSAM_RETURN_IF_ERROR(
        CheckDeadlineLocked(work_class, entry.units, entry.flow, entry.deadline, now, dropped));
    const TenantId flow = entry.flow;
    Slot slot;
    slot.units = entry.units;
    slot.key = entry.batch_key;
    slot.since = now;
    slot.item = std::move(entry);
    classes_[work_class].Push(flow.name, options_.tenants.Of(flow).weight, std::move(slot));
    ReportDepth(work_class);
    // One of each kind: neither knows whether the other is there.
    work_arrived_.NotifyOne();
    some_arrived_.NotifyAll();
    return absl::OkStatus();
  }

  std::optional<Batch> FormBatch(int count, std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Time now = clock_.Now();
    const std::optional<int> overdue = Overdue(count, now, dropped);
    overdue_went_ = overdue.has_value();
    if (overdue.has_value()) return TakeOf(*overdue, now);
    for (int i = 0; i < count; ++i) {
      RemoveDead(i, now, dropped);
      if (!classes_[i].empty()) return TakeOf(i, now);
    }
    return std::nullopt;
  }

  // The class whose oldest entry is furthest past its max_wait, if it may go first.
  std::optional<int> Overdue(int count, absl::Time now, std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::optional<int> overdue;
    if (overdue_went_) return overdue;
    absl::Duration most = absl::ZeroDuration();
    for (int i = 0; i < count; ++i) {
      const absl::Duration max_wait = options_.classes[i].max_wait;
      if (max_wait <= absl::ZeroDuration()) continue;
      RemoveDead(i, now, dropped);
      const absl::Duration excess = now - classes_[i].oldest() - max_wait;
      if (excess <= most) continue;
      most = excess;
      overdue = i;
    }
    return overdue;
  }

  // What one batch may hold of a class that has entries.
  Batch TakeOf(int work_class, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Batch batch{.work_class = work_class};
    uint64_t key = 0;
    int64_t room = std::numeric_limits<int64_t>::max();  // the first goes, however large
    while (std::optional<Slot> slot = classes_[work_class].Take(key, room)) {
      if (key == 0) key = slot->key;
      batch.units += slot->units;
      room = options_.classes[work_class].max_batch_units - batch.units;
      const absl::Duration wait = now - slot->since;
      if (observer_ != nullptr) observer_->OnTaken(work_class, wait);
      batch.entries.push_back({std::move(slot->item.task), wait});
    }
    ReportDepth(work_class);
    if (observer_ != nullptr) observer_->OnBatch(work_class, batch.units);
    return batch;
  }

  absl::Status CheckRoom(int work_class, const Entry& entry) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const WorkClassOptions& options = options_.classes[work_class];
    const typename ClassQueue::Load load = classes_[work_class].load();
    if (load.entries >= options.max_entries || entry.units > options.max_units - load.units) {
      return Overloaded(reason::kQueueFull, absl::StrCat("the ", options.name, " queue is full"),
                        RetryAfterLocked(work_class));
    }
    const typename ClassQueue::Load own = classes_[work_class].load(entry.flow.name);
    if (own.entries > 0 &&
        (ExceedsShare(own.entries + 1, options.max_entries, options_.max_flow_share) ||
         ExceedsShare(own.units + entry.units, options.max_units, options_.max_flow_share))) {
      return Overloaded(reason::kQuotaExceeded,
                        absl::StrCat("the tenant has its share of the ", options.name, " queue"),
                        options_.retry_after);
    }
    return absl::OkStatus();
  }

  // Until the worker is done with what goes before new work of `flow` (null: with all of
  // the class, whosever it is), at best.
  absl::Duration Before(int work_class, const TenantId* flow, absl::Time now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const ClassQueue& own = classes_[work_class];
    return BeforeClass(work_class, estimate_->RestOfRun(now)) +
           estimate_->Backlog(work_class,
                              flow == nullptr ? own.load().units : own.UnitsBefore(flow->name));
  }

  // Until the class has its turn, where the batch under way takes `rest` longer.
  absl::Duration BeforeClass(int work_class, absl::Duration rest) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (int i = 0; i < work_class; ++i) {
      rest += estimate_->Backlog(i, classes_[i].load().units);
    }
    const absl::Duration max_wait = options_.classes[work_class].max_wait;
    return max_wait > absl::ZeroDuration() ? std::min(rest, max_wait) : rest;
  }

  absl::Status CheckDeadlineLocked(int work_class, int64_t units, const TenantId& flow,
                                   absl::Time deadline, absl::Time now,
                                   std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (estimate_ == nullptr || !options_.check_deadlines || deadline == absl::InfiniteFuture()) {
      return absl::OkStatus();
    }
    const std::optional<absl::Duration> run = estimate_->Run(work_class, units);
    const bool learns = classes_[work_class].empty() && estimate_->Old(work_class, now);
    if (!run.has_value() || learns) return absl::OkStatus();
    if (now + *run > deadline) {
      return ErrorWithReason(absl::StatusCode::kDeadlineExceeded, reason::kDeadlineUnmeetable,
                             "the work takes longer than the deadline allows");
    }
    if (now + Before(work_class, &flow, now) + *run <= deadline) return absl::OkStatus();
    // Some of that may be for callers who left.
    for (int i = 0; i <= work_class; ++i) RemoveDead(i, now, dropped);
    const absl::Time end = now + Before(work_class, &flow, now) + *run;
    if (end <= deadline) return absl::OkStatus();
    return Overloaded(reason::kDeadlineUnmeetable,
                      "what waits before this takes longer than the deadline allows",
                      end - deadline);
  }

  absl::Duration RetryAfterLocked(int work_class) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (estimate_ == nullptr || !estimate_->Run(work_class, 1).has_value()) {
      return options_.retry_after;
    }
    return std::clamp(Before(work_class, /*flow=*/nullptr, clock_.Now()), kShortestRetry,
                      kLongestRetry);
  }

  void RemoveDead(int work_class, absl::Time now, std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const size_t before = dropped.size();
    RemoveIf(
        work_class, [now](Entry& entry) { return entry.check(now); }, dropped);
    if (dropped.size() != before) ReportDepth(work_class);
  }

  void RemoveAll(int work_class, std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    RemoveIf(
        work_class, [why = closed_why_](const Entry& /*entry*/) { return why; }, dropped);
    ReportDepth(work_class);
  }

  template <typename Check>
  void RemoveIf(int work_class, const Check& check, std::vector<Dropped>& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    classes_[work_class].RemoveIf(check, [&](Slot slot, absl::Status why) {
      if (observer_ != nullptr) observer_->OnDropped(work_class, why.code());
      dropped.push_back({std::move(slot.item), std::move(why)});
    });
  }

  // The first `count` classes.
  bool Empty(int count) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (int i = 0; i < count; ++i) {
      if (!classes_[i].empty()) return false;
    }
    return true;
  }

  void ReportDepth(int work_class) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (observer_ == nullptr) return;
    const typename ClassQueue::Load load = classes_[work_class].load();
    observer_->OnDepth(work_class, load.entries, load.units);
  }

  const WorkQueueOptions options_;
  const Clock& clock_;
  WorkQueueObserver* const observer_;
  const ServiceEstimate* const estimate_;

  mutable Mutex mutex_;
  CondVar work_arrived_;
  CondVar some_arrived_;  // for those who do not take all classes
  std::vector<ClassQueue> classes_ ABSL_GUARDED_BY(mutex_);
  bool overdue_went_ ABSL_GUARDED_BY(mutex_) = false;  // with the last batch
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status closed_why_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_WORK_QUEUE_H_
