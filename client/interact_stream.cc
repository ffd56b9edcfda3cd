#include "client/interact_stream.h"

#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/call_context.h"
#include "client/convert.h"
#include "client/status_details.h"

namespace semsam::client {
namespace {

absl::StatusOr<v1::InteractRequest> StartMessage(const InteractStart& start) {
  v1::InteractRequest message;
  v1::InteractStart& out = *message.mutable_start();
  out.set_session_id(start.session_id);
  out.set_image_id(start.image_id);
  if (absl::Status status = ToProto(start.options, *out.mutable_options()); !status.ok()) {
    return status;
  }
  if (start.labels.empty()) return message;
  if (absl::Status status = ToProto(start.labels, "labels", *out.mutable_labels()); !status.ok()) {
    return status;
  }
  return message;
}

class Stream final : public InteractStream {
 public:
  Stream(v1::SegmentationService::StubInterface& stub, const ClientOptions& options,
         const v1::InteractRequest& start, InteractEvents events, const CallOptions& call)
      // The stream may be as long as it likes, unless the caller says how long.
      : context_(options, call, absl::InfiniteDuration()),
        events_(std::move(events)),
        stream_(stub.Interact(context_.get())),
        labels_(std::make_shared<const v1::LabelOptions>(start.start().labels())) {
    // A write that fails shows in how the stream ends.
    (void)stream_->Write(start);
    reader_ = std::thread([this] { Read(); });
  }

  ~Stream() override {
    context_->TryCancel();
    Join();
  }

  absl::Status Start(const InteractStart& start) override {
    const auto message = StartMessage(start);
    if (!message.ok()) return message.status();
    const std::lock_guard<std::mutex> lock(write_mutex_);
    if (absl::Status status = CheckOpen(); !status.ok()) return status;
    labels_ = std::make_shared<const v1::LabelOptions>(message->start().labels());
    (void)stream_->Write(*message);
    return absl::OkStatus();
  }

  absl::Status Click(uint64_t id, const std::vector<Prompt>& prompts, bool latest_wins) override {
    v1::InteractRequest message;
    message.mutable_click()->set_correlation_id(id);
    message.mutable_click()->set_latest_wins(latest_wins);
    ToProto(prompts, *message.mutable_click()->mutable_prompts());
    const std::lock_guard<std::mutex> lock(write_mutex_);
    if (half_closed_) return CheckOpen();
    {
      // Known before it is sent: its answer may come at once. From here on the reader
      // answers it, whatever becomes of the write.
      const std::lock_guard<std::mutex> clicks_lock(clicks_mutex_);
      if (ended_.has_value()) return Ended();
      const bool added =
          open_.emplace(id, OpenClick{.labels = labels_, .prompts = prompts.size()}).second;
      if (!added) return InvalidField("id", absl::StrCat("a click with id ", id, " is open"));
    }
    (void)stream_->Write(message);
    return absl::OkStatus();
  }

  absl::Status Cancel(uint64_t id) override {
    v1::InteractRequest message;
    message.mutable_cancel()->set_correlation_id(id);
    const std::lock_guard<std::mutex> lock(write_mutex_);
    if (absl::Status status = CheckOpen(); !status.ok()) return status;
    (void)stream_->Write(message);
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    {
      const std::lock_guard<std::mutex> lock(write_mutex_);
      if (!half_closed_) stream_->WritesDone();
      half_closed_ = true;
    }
    Join();
    const std::lock_guard<std::mutex> lock(clicks_mutex_);
    return *ended_;
  }

 private:
  struct OpenClick {
    std::shared_ptr<const v1::LabelOptions> labels;  // what its masks were asked for
    size_t prompts = 0;
    int delivered = 0;
  };

  // Needs write_mutex_.
  absl::Status CheckOpen() {
    if (half_closed_) return absl::FailedPreconditionError("the stream was finished");
    const std::lock_guard<std::mutex> lock(clicks_mutex_);
    return ended_.has_value() ? Ended() : absl::OkStatus();
  }

  // Needs clicks_mutex_.
  absl::Status Ended() const {
    return ended_->ok() ? absl::UnavailableError("the server ended the stream") : *ended_;
  }

  void Join() {
    const std::lock_guard<std::mutex> lock(join_mutex_);
    if (reader_.joinable()) reader_.join();
  }

  void Read() {
    absl::Status broken;
    v1::InteractResponse response;
    while (broken.ok() && stream_->Read(&response)) {
      for (const v1::InteractEvent& event : response.events()) {
        broken = Take(event);
        if (!broken.ok()) break;
      }
    }
    if (!broken.ok()) {
      context_->TryCancel();
      while (stream_->Read(&response)) {
      }
    }
    absl::Status status;
    {
      // No write may be under way; on a stream that is over they do not block.
      const std::lock_guard<std::mutex> lock(write_mutex_);
      status = FromGrpcStatus(stream_->Finish());
    }
    End(broken.ok() ? status : broken);
  }

  // The answers that nothing will bring any more.
  void End(const absl::Status& status) {
    std::map<uint64_t, OpenClick> open;
    {
      const std::lock_guard<std::mutex> lock(clicks_mutex_);
      ended_ = status;
      if (status.ok() && !open_.empty()) {
        ended_ = absl::DataLossError("the stream ended before its clicks were answered");
      }
      open = std::exchange(open_, {});
    }
    for (const auto& [id, click] : open) {
      events_.on_answer(id,
                        status.ok() ? absl::DataLossError("the click was not answered") : status);
    }
  }

  // DATA_LOSS for what no correct server sends.
  absl::Status Take(const v1::InteractEvent& event) {
    const uint64_t id = event.correlation_id();
    OpenClick* click = nullptr;
    {
      // Only this thread removes clicks, and a map keeps the others in place.
      const std::lock_guard<std::mutex> lock(clicks_mutex_);
      const auto found = open_.find(id);
      if (found == open_.end()) {
        return absl::DataLossError(
            absl::StrCat("the server answered a click that is not open: ", id));
      }
      click = &found->second;
    }
    switch (event.payload_case()) {
      case v1::InteractEvent::kMask:
        return TakeMask(id, event.mask(), *click);
      case v1::InteractEvent::kProgress: {
        const auto progress = FromProto(event.progress());
        if (progress.ok() && events_.on_progress) events_.on_progress(id, *progress);
        return progress.status();
      }
      case v1::InteractEvent::kSummary: {
        auto summary = FromProto(event.summary());
        if (!summary.ok()) return summary.status();
        if (summary->masks_sent != click->delivered) {
          return absl::DataLossError(absl::StrCat("the server sent ", summary->masks_sent,
                                                  " masks, ", click->delivered, " arrived"));
        }
        Answer(id, *std::move(summary));
        return absl::OkStatus();
      }
      case v1::InteractEvent::kError: {
        absl::Status error = FromInteractError(event.error());
        if (error.ok()) return absl::DataLossError("the server sent an error that is none");
        Answer(id, std::move(error));
        return absl::OkStatus();
      }
      case v1::InteractEvent::PAYLOAD_NOT_SET:
        break;  // of a newer protocol
    }
    return absl::OkStatus();
  }

  absl::Status TakeMask(uint64_t id, const v1::Mask& message, OpenClick& click) {
    auto mask = FromProto(message, *click.labels);
    if (!mask.ok()) return mask.status();
    if (static_cast<size_t>(mask->prompt_index) >= click.prompts) {
      return absl::DataLossError("the server sent a mask for a prompt that was not asked");
    }
    ++click.delivered;
    if (events_.on_mask) events_.on_mask(id, *std::move(mask));
    return absl::OkStatus();
  }

  void Answer(uint64_t id, absl::StatusOr<SegmentSummary> summary) {
    {
      // Before the event, which may use the id again.
      const std::lock_guard<std::mutex> lock(clicks_mutex_);
      open_.erase(id);
    }
    events_.on_answer(id, std::move(summary));
  }

  CallContext context_;
  const InteractEvents events_;
  const std::unique_ptr<
      grpc::ClientReaderWriterInterface<v1::InteractRequest, v1::InteractResponse>>
      stream_;

  std::mutex write_mutex_;  // one write at a time; before clicks_mutex_
  bool half_closed_ = false;
  std::shared_ptr<const v1::LabelOptions> labels_;

  std::mutex clicks_mutex_;
  std::map<uint64_t, OpenClick> open_;
  std::optional<absl::Status> ended_;

  std::mutex join_mutex_;
  std::thread reader_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<InteractStream>> OpenInteractStream(
    v1::SegmentationService::StubInterface& stub, const ClientOptions& options,
    const InteractStart& start, InteractEvents events, const CallOptions& call) {
  if (!events.on_answer) return InvalidField("on_answer", "must be set");
  const auto message = StartMessage(start);
  if (!message.ok()) return message.status();
  return std::make_unique<Stream>(stub, options, *message, std::move(events), call);
}

}  // namespace semsam::client
