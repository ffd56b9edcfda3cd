#include "server/rpc/upload_handler.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/pipeline/image_upload.h"
#include "server/rpc/call_alarm.h"
#include "server/rpc/convert.h"

namespace semsam {
namespace {

class UploadReactor final : public grpc::ServerReadReactor<v1::UploadImageRequest> {
 public:
  UploadReactor(const RpcParts& parts, grpc::CallbackServerContext& context,
                v1::UploadImageResponse& response)
      : context_(context), scope_(parts, Method::kUploadImage, context), response_(response) {
    if (!scope_.admission().ok()) {
      StopReading();
      End(scope_.admission());
      return;
    }
    WatchTheClock();
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!reading_) return;  // the call has ended meanwhile
    if (!ok) {
      if (StopReading()) FinishUpload();
      return;
    }
    heard_ns_ = absl::ToUnixNanos(scope_.parts().clock.Now());
    if (absl::Status status = TakePart(); !status.ok()) {
      if (StopReading()) End(status);
      return;
    }
    if (reading_) StartRead(&message_);
  }

  void OnCancel() override { scope_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  // True for the one caller that ends the reading.
  bool StopReading() { return reading_.exchange(false); }

  // A client that stops sending makes no event: only the clock ends its call, and with
  // it gives back what it holds of the buffer that all uploads share.
  void WatchTheClock() {
    const absl::Time pause_end = PauseEnd();
    const absl::Time end =
        scope_.has_server_deadline() ? std::min(pause_end, scope_.limits().deadline) : pause_end;
    alarm_.Set(end, [this] { OnAlarm(); });
  }

  absl::Time PauseEnd() const {
    return absl::FromUnixNanos(heard_ns_) + scope_.parts().max_upload_pause;
  }

  void OnAlarm() {
    if (!reading_) return;
    const absl::Time now = scope_.parts().clock.Now();
    if (scope_.has_server_deadline() && now >= scope_.limits().deadline) {
      if (StopReading()) End(absl::DeadlineExceededError("the image did not come in time"));
    } else if (now >= PauseEnd()) {
      if (StopReading()) {
        End(ErrorWithReason(absl::StatusCode::kDeadlineExceeded, reason::kUploadStalled,
                            "nothing more of the image came"));
      }
    } else {
      WatchTheClock();
    }
  }

  absl::Status TakePart() {
    scope_.CountReceived(static_cast<int64_t>(message_.ByteSizeLong()));
    switch (message_.part_case()) {
      case v1::UploadImageRequest::kHeader: {
        if (upload_.has_value()) {
          return InvalidField("header", "only the first message has one", reason::kUploadProtocol);
        }
        absl::StatusOr<ImageUpload> upload =
            scope_.parts().engine.BeginUpload(scope_.limits().tenant, FromProto(message_.header()));
        if (!upload.ok()) return std::move(upload).status();
        upload_.emplace(*std::move(upload));
        return absl::OkStatus();
      }
      case v1::UploadImageRequest::kChunk:
        if (!upload_.has_value()) {
          return InvalidField("header", "must come before the first chunk",
                              reason::kUploadProtocol);
        }
        return upload_->Append(message_.chunk());
      case v1::UploadImageRequest::PART_NOT_SET:
        break;
    }
    return InvalidField("part", "each message needs a header or a chunk", reason::kUploadProtocol);
  }

  void FinishUpload() {
    // A cancelled stream ends like a complete one.
    if (context_.IsCancelled()) scope_.Cancel();
    if (absl::Status status = scope_.limits().Check(scope_.parts().clock.Now()); !status.ok()) {
      return End(status);
    }
    if (!upload_.has_value()) {
      return End(InvalidField("header", "the stream was empty", reason::kUploadProtocol));
    }
    scope_.parts().engine.FinishUpload(*std::move(upload_), scope_.limits(),
                                       [this](absl::StatusOr<UploadedImage> uploaded) {
                                         if (uploaded.ok()) SetUploaded(*uploaded, response_);
                                         End(uploaded.status());
                                       });
  }

  void End(const absl::Status& status) { Finish(scope_.End(status)); }

  grpc::CallbackServerContext& context_;
  CallScope scope_;
  v1::UploadImageResponse& response_;
  v1::UploadImageRequest message_;
  std::optional<ImageUpload> upload_;
  std::atomic<bool> reading_{true};
  // When a part came last.
  std::atomic<int64_t> heard_ns_{absl::ToUnixNanos(scope_.parts().clock.Now())};
  CallAlarm alarm_;
};

}  // namespace

grpc::ServerReadReactor<v1::UploadImageRequest>* UploadImage(const RpcParts& parts,
                                                             grpc::CallbackServerContext& context,
                                                             v1::UploadImageResponse& response) {
  return new UploadReactor(parts, context, response);
}

}  // namespace semsam
