// One class of work, shared out among the flows that it comes from: a flow is a tenant.
//
// Guarantees
//   - Each flow gets service, in units, by its weight, while it has items: of two that
//     always have some, one of weight 3 is served three times as much as one of weight 1.
//   - A flow that was away starts where the others are: it gets no credit for the time it
//     had nothing to do, and keeps the debt of what it took last.
//   - Items of one flow leave in the order they came, but for those that Take passes over.
// This is stride scheduling: each flow has a pass, which grows by units over weight as it
// is served, and the smallest pass is served first; among equals, the item that came first.
// Memory is that of the items, and of at most kMaxIdleFlows flows that have none.
// Not thread-safe.
#ifndef SEMSAM_SERVER_BATCHING_FLOW_QUEUE_H_
#define SEMSAM_SERVER_BATCHING_FLOW_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace semsam {

template <typename Item>
class FlowQueue {
 public:
  static constexpr size_t kMaxIdleFlows = 1024;

  struct Slot {
    Item item;
    int64_t units = 1;
    uint64_t key = 0;  // what it may share a batch with; 0: anything
    absl::Time since;  // when it came
    uint64_t number = 0;
  };
  struct Load {
    int64_t entries = 0;
    int64_t units = 0;
  };

  FlowQueue() = default;
  FlowQueue(const FlowQueue&) = delete;
  FlowQueue& operator=(const FlowQueue&) = delete;

  // `weight` of the flow, at least 1, holds from now on.
  void Push(const std::string& name, int64_t weight, Slot slot) {
    const auto [place, added] = flows_.try_emplace(name);
    Flow& flow = place->second;
    if (added) {
      flow.name = &place->first;
    } else {
      Unlist(flow);
    }
    if (flow.slots.empty()) flow.pass = std::max(flow.pass, virtual_time_);
    flow.weight = weight;
    flow.load.entries += 1;
    flow.load.units += slot.units;
    total_.entries += 1;
    total_.units += slot.units;
    slot.number = next_number_++;
    flow.slots.push_back(std::move(slot));
    List(flow);
  }

  // The next item that may share a batch with `key`; nullopt where there is none, or
  // where it is of more than `max_units`: no smaller one overtakes it.
  std::optional<Slot> Take(uint64_t key, int64_t max_units) {
    for (const Listed& listed : active_) {
      Flow& flow = *listed.flow;
      const auto found = std::find_if(flow.slots.begin(), flow.slots.end(),
                                      [key](const Slot& slot) { return Mixes(slot.key, key); });
      if (found == flow.slots.end()) continue;
      if (found->units > max_units) return std::nullopt;
      virtual_time_ = std::max(virtual_time_, active_.begin()->pass);
      Unlist(flow);
      Slot slot = std::move(*found);
      flow.slots.erase(found);
      Forget(flow, slot.units);
      flow.pass += slot.units * kPassScale / flow.weight;
      List(flow);
      Settle();
      return slot;
    }
    return std::nullopt;
  }

  // Takes out what `check` (of an item; an absl::Status) refuses, flow by flow, and hands
  // it to `drop` (a Slot and that status). Nobody is served: passes stay.
  template <typename Check, typename Drop>
  void RemoveIf(const Check& check, const Drop& drop) {
    for (auto place = flows_.begin(); place != flows_.end();) {
      Flow& flow = (place++)->second;  // may go
      if (flow.slots.empty()) continue;
      Unlist(flow);
      std::deque<Slot> alive;
      for (Slot& slot : flow.slots) {
        absl::Status status = check(slot.item);
        if (status.ok()) {
          alive.push_back(std::move(slot));
        } else {
          Forget(flow, slot.units);
          drop(std::move(slot), std::move(status));
        }
      }
      flow.slots = std::move(alive);
      List(flow);
    }
    Settle();
  }

  bool empty() const { return total_.entries == 0; }
  Load load() const { return total_; }
  Load load(const std::string& name) const {
    const auto place = flows_.find(name);
    return place == flows_.end() ? Load{} : place->second.load;
  }

  // Those with items, and those with debt.
  size_t flows() const { return flows_.size(); }

  // When the oldest item came; InfiniteFuture if there is none.
  absl::Time oldest() const {
    absl::Time oldest = absl::InfiniteFuture();
    for (const Listed& listed : active_) {
      oldest = std::min(oldest, listed.flow->slots.front().since);
    }
    return oldest;
  }

  // Units that will be served before an item that `name` would push now, if nothing else
  // came: at least so many.
  int64_t UnitsBefore(const std::string& name) const {
    const auto place = flows_.find(name);
    const Flow* own = place == flows_.end() ? nullptr : &place->second;
    int64_t start = virtual_time_;
    int64_t before = 0;
    if (own != nullptr) {
      start = std::max(start, own->pass) + own->load.units * kPassScale / own->weight;
      before = own->load.units;
    }
    for (const Listed& listed : active_) {
      if (listed.pass >= start) break;
      if (listed.flow == own) continue;
      const int64_t turns = (start - listed.pass) * listed.flow->weight / kPassScale;
      before += std::min(listed.flow->load.units, turns);
    }
    return before;
  }

 private:
  // A unit at weight 1. All weights up to 16 divide it: their shares are exact. Large
  // enough for others, and far from overflow in years of one busy period.
  static constexpr int64_t kPassScale = 720720;

  struct Flow {
    const std::string* name = nullptr;
    std::deque<Slot> slots;
    Load load;
    int64_t weight = 1;
    int64_t pass = 0;
  };
  struct Listed {
    int64_t pass = 0;
    uint64_t number = 0;  // of the first item
    Flow* flow = nullptr;

    friend bool operator<(const Listed& a, const Listed& b) {
      return std::tie(a.pass, a.number, *a.flow->name) < std::tie(b.pass, b.number, *b.flow->name);
    }
  };

  static bool Mixes(uint64_t a, uint64_t b) { return a == 0 || b == 0 || a == b; }

  static Listed ListingOf(Flow& flow) {
    return {flow.pass, flow.slots.empty() ? 0 : flow.slots.front().number, &flow};
  }

  // Around each change of a flow that moves it.
  void Unlist(Flow& flow) { (flow.slots.empty() ? idle_ : active_).erase(ListingOf(flow)); }
  void List(Flow& flow) { (flow.slots.empty() ? idle_ : active_).insert(ListingOf(flow)); }

  void Forget(Flow& flow, int64_t units) {
    flow.load.entries -= 1;
    flow.load.units -= units;
    total_.entries -= 1;
    total_.units -= units;
  }

  // Lets go of flows that have no items and no debt; with too many, of the least debt.
  void Settle() {
    if (active_.empty()) {
      // Nobody was kept waiting by whom: all are even.
      idle_.clear();
      flows_.clear();
      virtual_time_ = 0;
      return;
    }
    while (!idle_.empty() &&
           (idle_.begin()->pass <= virtual_time_ || idle_.size() > kMaxIdleFlows)) {
      const std::string name = *idle_.begin()->flow->name;
      idle_.erase(idle_.begin());
      flows_.erase(name);
    }
  }

  std::map<std::string, Flow> flows_;  // those of active_ and idle_, by name
  std::set<Listed> active_;            // with items
  std::set<Listed> idle_;              // without, but with debt
  Load total_;
  int64_t virtual_time_ = 0;  // the pass that is served
  uint64_t next_number_ = 0;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_FLOW_QUEUE_H_
