#include "server/rpc/interact_handler.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "server/pipeline/interact_calls.h"
#include "server/rpc/call_alarm.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_interact.h"
#include "server/rpc/convert_words.h"
#include "server/rpc/send_queue.h"
#include "server/rpc/wire.h"

namespace semsam {
namespace {

// Small answers that wait for a write travel in one message (InteractResponse has one
// repeated field): a click's masks mostly become ready faster than they can be sent
// one by one.
constexpr size_t kJoinBytes = size_t{64} << 10;
// After the end of a stream's time, and of the last click that came within it.
constexpr absl::Duration kCutOffDelay = absl::Seconds(2);

absl::Status StreamExpired() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStreamExpired,
                         "the stream is as old as one may be; open another");
}

absl::Status ClientLeft() { return absl::CancelledError("the client left"); }

class InteractReactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  InteractReactor(const RpcParts& parts, grpc::CallbackServerContext& context)
      : context_(context),
        scope_(parts, Method::kInteract, context),
        queue_({.join_bytes = kJoinBytes,
                .room_bytes = parts.engine.options().interact.window_bytes}) {}

  // Whatever ends the stream in here is kept by gRPC until it has the reactor.
  void Start() {
    if (!scope_.admission().ok()) return Finish(scope_.End(scope_.admission()));
    absl::StatusOr<std::shared_ptr<InteractCalls>> calls =
        scope_.parts().engine.Interact(scope_.limits().tenant, Sink());
    if (!calls.ok()) return Finish(scope_.End(calls.status()));
    calls_ = *std::move(calls);
    if (calls_->closed()) return;
    LimitAge();
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    {
      MutexLock lock(incoming_mutex_);
      incoming_ = Parse(ok);
      // Whoever still handles the message before takes this one next.
      if (std::exchange(handling_, true)) return;
    }
    HandleIncoming();
  }

  void OnWriteDone(bool ok) override {
    const SendQueue::Written written = queue_.OnWritten(ok);
    if (!ok) calls_->Abort(ClientLeft());
    if (written.room) ReadOn();
    // First of all the next write, which others wait for.
    Send(written.next);
    for (const SendQueue::Credit& credit : written.credits) {
      calls_->Consumed(credit.owner, credit.bytes);
    }
  }

  void OnCancel() override {
    if (calls_ != nullptr) calls_->Abort(ClientLeft());
  }

  void OnDone() override { delete this; }

 private:
  InteractSink Sink() {
    return {.on_progress = [this](const ClickRef& click,
                                  const CallProgress& progress) { OnProgress(click, progress); },
            .on_mask = [this](const ClickRef& click,
                              SegmentMask mask) { OnMask(click, std::move(mask)); },
            .on_answer =
                [this](const ClickRef& click, const absl::StatusOr<SegmentSummary>& answer) {
                  OnAnswer(click, answer);
                },
            .on_end = [this](absl::Status status) { Send(queue_.End(std::move(status))); }};
  }

  void LimitAge() {
    const EngineOptions& options = scope_.parts().engine.options();
    const absl::Time end = scope_.parts().clock.Now() + options.interact.max_age;
    age_alarm_.Set(end, [calls = calls_] { calls->Close(StreamExpired()); });
    // A client that neither reads nor leaves.
    cut_off_alarm_.Set(end + options.default_deadline + kCutOffDelay,
                       [&context = context_] { context.TryCancel(); });
  }

  // Within a reaction only: they keep the reactor, even if the stream ends meanwhile.
  void ReadOn() {
    if (!calls_->closed()) StartRead(&message_);
  }

  struct Incoming {
    absl::Status status;  // of the parsing
    bool half_closed = false;
    v1::InteractRequest request;
  };

  Incoming Parse(bool read) {
    Incoming incoming{.half_closed = !read};
    if (!read) return incoming;
    scope_.CountReceived(static_cast<int64_t>(message_.Length()));
    incoming.status = ParseMessage(message_, incoming.request);
    return incoming;
  }

  // In the order they came. The next read is begun before a message is handled: later
  // it would meet the write of the answer inside gRPC, which then leaves one of them to
  // yet another thread.
  void HandleIncoming() {
    while (true) {
      Incoming next;
      {
        MutexLock lock(incoming_mutex_);
        handling_ = incoming_.has_value();
        if (!handling_) return;
        next = *std::exchange(incoming_, std::nullopt);
      }
      if (next.half_closed) {
        // A cancelled stream ends like one that was half-closed.
        if (context_.IsCancelled()) calls_->Abort(ClientLeft());
        calls_->Close(absl::OkStatus());
        continue;
      }
      if (next.status.ok()) {
        if (queue_.HasRoom()) ReadOn();
        next.status = Take(next.request);
      }
      if (!next.status.ok()) calls_->Abort(std::move(next.status));
    }
  }

  // An error concerns no click and ends the stream.
  absl::Status Take(const v1::InteractRequest& request) {
    switch (request.action_case()) {
      case v1::InteractRequest::kStart: {
        absl::StatusOr<InteractStart> start = FromProto(request.start());
        if (!start.ok()) return std::move(start).status();
        calls_->Start(*std::move(start));
        return absl::OkStatus();
      }
      case v1::InteractRequest::kClick:
        return calls_->Click(FromProto(request.click()));
      case v1::InteractRequest::kCancel:
        calls_->Cancel(request.cancel().correlation_id());
        return absl::OkStatus();
      case v1::InteractRequest::ACTION_NOT_SET:
        break;
    }
    return InvalidField("action", "each message needs a start, a click or a cancel");
  }

  // A response of one event, to be filled.
  static v1::InteractEvent& AddEvent(const ClickRef& click, v1::InteractResponse& response) {
    v1::InteractEvent& event = *response.add_events();
    event.set_correlation_id(click.correlation_id);
    return event;
  }

  void OnProgress(const ClickRef& click, const CallProgress& progress) {
    v1::InteractResponse response;
    *AddEvent(click, response).mutable_progress() = ToProto(progress);
    Send(queue_.PushProgress(SerializeMessage(response), click.number));
  }

  void OnMask(const ClickRef& click, SegmentMask mask) {
    const int64_t bytes = mask.size_bytes();
    const bool followed = mask.followed;
    v1::InteractResponse response;
    *AddEvent(click, response).mutable_mask() = ToProto(std::move(mask));
    // A message costs more than a mask: what follows at once comes along.
    if (followed) return queue_.Hold(SerializeMessage(response), bytes, click.number);
    Send(queue_.Push(SerializeMessage(response), bytes, click.number));
  }

  void OnAnswer(const ClickRef& click, const absl::StatusOr<SegmentSummary>& answer) {
    v1::InteractResponse response;
    v1::InteractEvent& event = AddEvent(click, response);
    if (answer.ok()) {
      *event.mutable_summary() = ToProto(*answer);
    } else {
      *event.mutable_error() = ErrorToProto(answer.status());
    }
    Send(queue_.Push(SerializeMessage(response), /*window_bytes=*/0, click.number));
  }

  // Without a step the reactor may be gone, and nothing of it is touched.
  void Send(const SendQueue::Step& step) {
    if (step.write != nullptr) {
      scope_.BeginAnswer();
      scope_.CountSent(static_cast<int64_t>(step.write->Length()));
      StartWrite(step.write);
    } else if (step.end.has_value()) {
      Finish(scope_.End(*step.end));
    }
  }

  grpc::CallbackServerContext& context_;
  CallScope scope_;
  SendQueue queue_;
  std::shared_ptr<InteractCalls> calls_;  // null: there was no place
  grpc::ByteBuffer message_;              // being read

  Mutex incoming_mutex_;
  std::optional<Incoming> incoming_ ABSL_GUARDED_BY(incoming_mutex_);  // read, not yet handled
  bool handling_ ABSL_GUARDED_BY(incoming_mutex_) = false;

  CallAlarm age_alarm_;
  CallAlarm cut_off_alarm_;
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Interact(
    const RpcParts& parts, grpc::CallbackServerContext& context) {
  auto* reactor = new InteractReactor(parts, context);
  reactor->Start();
  return reactor;
}

}  // namespace semsam
