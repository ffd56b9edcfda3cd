#include "server/rpc/segment_handlers.h"

#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "server/pipeline/segment_call.h"
#include "server/rpc/call_alarm.h"
#include "server/rpc/convert.h"

namespace semsam {
namespace {

// A client that neither reads nor leaves is cut off this long after the deadline,
// which the engine itself reports before.
constexpr absl::Duration kCutOffDelay = absl::Seconds(2);

class SegmentReactor final : public grpc::ServerWriteReactor<v1::SegmentResponse> {
 public:
  SegmentReactor(const RpcParts& parts, grpc::CallbackServerContext& context)
      : scope_(parts, Method::kSegment, context) {
    if (scope_.has_server_deadline()) {
      alarm_.Set(scope_.limits().deadline + kCutOffDelay, [&context] { context.TryCancel(); });
    }
  }

  void Start(const v1::SegmentRequest& request) {
    absl::StatusOr<SegmentRequest> converted = FromProto(request);
    if (!converted.ok()) return OnEnd(std::move(converted).status());
    // The engine may end the call, and this with it, before Segment returns.
    const std::shared_ptr<HandleSlot> slot = slot_;
    slot->Set(scope_.parts().engine.Segment(
        *std::move(converted), scope_.limits(),
        {.on_mask = [this](SegmentMask mask) { OnMask(std::move(mask)); },
         .on_done =
             [this](absl::StatusOr<SegmentSummary> summary) { OnEnd(std::move(summary)); }}));
  }

  void OnWriteDone(bool ok) override {
    int64_t written_bytes = 0;
    Step step;
    {
      MutexLock lock(mutex_);
      written_bytes = pending_.front().bytes;
      pending_.pop_front();
      writing_ = false;
      // After one failed write no other can succeed.
      if (!ok) broken_ = true;
      step = NextStep();
    }
    if (!ok) Leave();
    slot_->Consumed(written_bytes);
    if (step.any()) Take(step);
  }

  void OnCancel() override { Leave(); }
  void OnDone() override { delete this; }

 private:
  struct Pending {
    v1::SegmentResponse response;
    int64_t bytes = 0;
  };

  // The engine's handle; it comes when the call may already be running, or over.
  class HandleSlot {
   public:
    void Set(const std::shared_ptr<StreamHandle>& handle) {
      int64_t consumed_bytes = 0;
      {
        MutexLock lock(mutex_);
        handle_ = handle;
        consumed_bytes = std::exchange(early_bytes_, 0);
      }
      if (handle == nullptr) return;
      // What happened while there was nobody to tell.
      handle->Consumed(consumed_bytes);
      handle->Wake();
    }
    void Consumed(int64_t bytes) {
      std::shared_ptr<StreamHandle> handle;
      {
        MutexLock lock(mutex_);
        handle = handle_;
        if (handle == nullptr) early_bytes_ += bytes;
      }
      if (handle != nullptr) handle->Consumed(bytes);
    }
    void Wake() {
      std::shared_ptr<StreamHandle> handle;
      {
        MutexLock lock(mutex_);
        handle = handle_;
      }
      if (handle != nullptr) handle->Wake();
    }

   private:
    Mutex mutex_;
    std::shared_ptr<StreamHandle> handle_ ABSL_GUARDED_BY(mutex_);
    int64_t early_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  };

  // What carries the stream on: a write, the status, or nothing for now.
  struct Step {
    const v1::SegmentResponse* write = nullptr;
    std::optional<absl::Status> end;

    bool any() const { return write != nullptr || end.has_value(); }
  };

  // Whoever changes the state decides in the same breath: once the lock is gone,
  // another thread may send the status, and with it end the reactor.
  Step NextStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_) return {};
    if (broken_) pending_.clear();
    if (!pending_.empty()) {
      writing_ = true;
      return {.write = &pending_.front().response};  // a deque's elements stay in place
    }
    return {.end = std::exchange(end_, std::nullopt)};
  }

  // Outside the lock, because gRPC may call back from here, and only with a step to
  // take: without one the reactor may be gone.
  void Take(const Step& step) {
    if (step.write != nullptr) {
      StartWrite(step.write);
    } else {
      Finish(scope_.End(*step.end));
    }
  }

  void OnMask(SegmentMask mask) {
    Pending next;
    next.bytes = mask.data.size_bytes();
    *next.response.mutable_mask() = ToProto(std::move(mask));
    Step step;
    {
      MutexLock lock(mutex_);
      pending_.push_back(std::move(next));
      step = NextStep();
    }
    if (step.any()) Take(step);
  }

  void OnEnd(absl::StatusOr<SegmentSummary> summary) {
    Step step;
    {
      MutexLock lock(mutex_);
      end_ = summary.status();
      if (summary.ok()) {
        pending_.emplace_back();
        *pending_.back().response.mutable_summary() = ToProto(*summary);
      } else {
        // What was not sent is not worth waiting for.
        broken_ = true;
      }
      step = NextStep();
    }
    if (step.any()) Take(step);
  }

  // Nobody reads any more: the work stops where it is.
  void Leave() {
    scope_.Cancel();
    slot_->Wake();
  }

  CallScope scope_;
  const std::shared_ptr<HandleSlot> slot_ = std::make_shared<HandleSlot>();

  Mutex mutex_;
  std::deque<Pending> pending_ ABSL_GUARDED_BY(mutex_);  // front: being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // known and not yet sent
  CallAlarm alarm_;
};

class SegmentOnceReactor final : public grpc::ServerUnaryReactor {
 public:
  SegmentOnceReactor(const RpcParts& parts, grpc::CallbackServerContext& context,
                     v1::SegmentOnceResponse& response)
      : scope_(parts, Method::kSegmentOnce, context), response_(response) {}

  void Start(const v1::SegmentOnceRequest& request) {
    absl::StatusOr<SegmentRequest> converted = FromProto(request);
    if (!converted.ok()) return End(converted.status());
    // Masks are bounded by the answer itself: the engine never waits for a reader.
    scope_.parts().engine.Segment(
        *std::move(converted), scope_.limits(),
        {.on_mask = [this](SegmentMask mask) { OnMask(std::move(mask)); },
         .on_done = [this](absl::StatusOr<SegmentSummary> summary) { OnEnd(std::move(summary)); },
         .window_bytes = std::numeric_limits<int64_t>::max()});
  }

  void OnCancel() override { scope_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // Serialized fields of a mask beside its data, generously.
  static constexpr int64_t kMaskOverheadBytes = 256;

  void OnMask(SegmentMask mask) {
    response_bytes_ += mask.data.size_bytes() + kMaskOverheadBytes;
    if (response_bytes_ > scope_.parts().max_message_bytes) {
      too_large_ = true;
      scope_.Cancel();
      return;
    }
    *response_.add_masks() = ToProto(std::move(mask));
  }

  void OnEnd(absl::StatusOr<SegmentSummary> summary) {
    if (too_large_) {
      return End(ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kLimitExceeded,
                                 "the masks do not fit one message; call Segment, or ask for a "
                                 "denser encoding"));
    }
    if (summary.ok()) *response_.mutable_summary() = ToProto(*summary);
    End(summary.status());
  }

  void End(const absl::Status& status) { Finish(scope_.End(status)); }

  CallScope scope_;
  v1::SegmentOnceResponse& response_;
  // Of the engine's callbacks, which never overlap.
  int64_t response_bytes_ = 0;
  bool too_large_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::SegmentResponse>* Segment(const RpcParts& parts,
                                                       grpc::CallbackServerContext& context,
                                                       const v1::SegmentRequest& request) {
  auto* reactor = new SegmentReactor(parts, context);
  reactor->Start(request);
  return reactor;
}

grpc::ServerUnaryReactor* SegmentOnce(const RpcParts& parts, grpc::CallbackServerContext& context,
                                      const v1::SegmentOnceRequest& request,
                                      v1::SegmentOnceResponse& response) {
  auto* reactor = new SegmentOnceReactor(parts, context, response);
  reactor->Start(request);
  return reactor;
}

}  // namespace semsam
