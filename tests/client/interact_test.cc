// The stream of clicks: ids, answers, errors, and how it ends.
#include "client/interact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <map>
#include <mutex>

#include "tests/client/client_fixture.h"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// What the events told. Thread-safe.
class EventLog {
 public:
  InteractEvents Events() {
    return {.on_mask =
                [this](uint64_t id, Mask mask) {
                  const std::lock_guard<std::mutex> lock(mutex_);
                  masks_[id].push_back(std::move(mask));
                },
            .on_progress =
                [this](uint64_t id, const Progress& progress) {
                  const std::lock_guard<std::mutex> lock(mutex_);
                  progress_[id] = progress;
                },
            .on_answer =
                [this](uint64_t id, absl::StatusOr<SegmentSummary> summary) {
                  const std::lock_guard<std::mutex> lock(mutex_);
                  EXPECT_TRUE(answers_.emplace(id, std::move(summary)).second) << "twice: " << id;
                  changed_.notify_all();
                }};
  }

  absl::StatusOr<SegmentSummary> Wait(uint64_t id) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return answers_.count(id) > 0; });
    return answers_.at(id);
  }
  std::vector<Mask> masks(uint64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return masks_[id];
  }
  Progress progress(uint64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return progress_[id];
  }
  size_t answers() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return answers_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, std::vector<Mask>> masks_;
  std::map<uint64_t, Progress> progress_;
  std::map<uint64_t, absl::StatusOr<SegmentSummary>> answers_;
};

class InteractTest : public ClientTest {
 protected:
  std::unique_ptr<InteractStream> Open(PromptOptions options = {}, const CallOptions& call = {}) {
    auto stream = client_->Interact({.session_id = request_.session_id,
                                     .image_id = request_.image_id,
                                     .options = std::move(options)},
                                    log_.Events(), call);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return stream.ok() ? *std::move(stream) : nullptr;
  }

  // Answers the first click of the next streams with these events, then ends them.
  void Script(const std::vector<v1::InteractEvent>& events,
              const grpc::Status& status = grpc::Status::OK) {
    server_.service().OnInteract([events, status](grpc::ServerContext&, auto& peer) {
      v1::InteractRequest request;
      while (peer.Read(&request) && !request.has_click()) {
      }
      for (const v1::InteractEvent& event : events) {
        v1::InteractResponse response;
        *response.add_events() = event;
        peer.Write(response);
      }
      return status;
    });
  }

  static v1::InteractEvent MaskEvent(uint64_t id, uint32_t prompt = 0) {
    v1::InteractEvent event;
    event.set_correlation_id(id);
    *event.mutable_mask() = MaskMessage(prompt).mask();
    return event;
  }
  static v1::InteractEvent SummaryEvent(uint64_t id, uint32_t masks_sent) {
    v1::InteractEvent event;
    event.set_correlation_id(id);
    *event.mutable_summary() = SummaryMessage(masks_sent).summary();
    return event;
  }

  EventLog log_;
  const std::vector<Prompt> here_ = {{.shape = Click{30, 20}, .tag = "here"}};
};

TEST_F(InteractTest, ClicksAreAnsweredUnderTheirIds) {
  const auto stream = Open({.levels = {3, 1}});
  ASSERT_TRUE(stream->Click(7, here_).ok());
  ASSERT_TRUE(stream->Click(1, {here_[0], here_[0]}, /*latest_wins=*/true).ok());
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(log_.Wait(7)->masks_sent, 2);
  EXPECT_EQ(log_.Wait(1)->masks_sent, 4);
  ASSERT_THAT(log_.masks(7), SizeIs(2));
  EXPECT_EQ(log_.masks(7)[0].level, 3);
  EXPECT_EQ(log_.masks(7)[0].prompt_tag, "here");
  EXPECT_EQ(log_.masks(1)[3].prompt_index, 1);
}

TEST_F(InteractTest, AnotherStartIsForTheClicksAfterIt) {
  const auto stream = Open({.levels = {3}});
  ASSERT_TRUE(stream->Click(1, here_).ok());
  ASSERT_TRUE(stream->Start({.session_id = "nobody"}).ok());
  ASSERT_TRUE(stream->Click(2, here_).ok());
  EXPECT_TRUE(log_.Wait(1).ok());
  EXPECT_EQ(log_.Wait(2).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(stream->Finish().ok()) << "a click's error is not the stream's";
}

TEST_F(InteractTest, RequestsCarryEveryField) {
  std::promise<std::vector<v1::InteractRequest>> sent;
  server_.service().OnInteract([&sent](grpc::ServerContext&, auto& peer) {
    std::vector<v1::InteractRequest> requests;
    v1::InteractRequest request;
    while (peer.Read(&request)) requests.push_back(request);
    sent.set_value(requests);
    return grpc::Status::CANCELLED;
  });
  const auto stream = Open({.levels = {2}, .min_stability = 0.5f});
  ASSERT_TRUE(stream->Click(9, here_, /*latest_wins=*/true).ok());
  ASSERT_TRUE(stream->Cancel(9).ok());
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  const std::vector<v1::InteractRequest> requests = sent.get_future().get();
  ASSERT_THAT(requests, SizeIs(3));
  EXPECT_EQ(requests[0].start().session_id(), request_.session_id);
  EXPECT_EQ(requests[0].start().image_id(), request_.image_id);
  EXPECT_EQ(requests[0].start().options().levels(0), 2);
  EXPECT_EQ(requests[0].start().options().min_stability(), 0.5f);
  EXPECT_FALSE(requests[0].start().has_labels());
  EXPECT_EQ(requests[1].click().correlation_id(), 9);
  EXPECT_TRUE(requests[1].click().latest_wins());
  EXPECT_EQ(requests[1].click().prompts(0).click().x(), 30);
  EXPECT_EQ(requests[2].cancel().correlation_id(), 9);
}

TEST_F(InteractTest, AnErrorKeepsItsDetails) {
  v1::InteractEvent event;
  event.set_correlation_id(1);
  v1::InteractError& error = *event.mutable_error();
  error.set_code(grpc::StatusCode::NOT_FOUND);
  error.set_message("click.prompts[0]: gone");
  error.set_reason("IMAGE_NOT_FOUND");
  error.set_field("click.prompts[0]");
  error.set_sha256("abc");
  error.mutable_retry_after()->set_nanos(250'000'000);
  Script({event});
  const auto stream = Open();
  ASSERT_TRUE(stream->Click(1, here_).ok());
  const absl::Status status = log_.Wait(1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "click.prompts[0]: gone");
  EXPECT_EQ(ErrorReason(status), "IMAGE_NOT_FOUND");
  EXPECT_EQ(ErrorField(status), "click.prompts[0]");
  EXPECT_EQ(ErrorImageDigest(status), "abc");
  EXPECT_EQ(ErrorRetryAfter(status), absl::Milliseconds(250));
}

TEST_F(InteractTest, ProgressIsToldOfItsClick) {
  v1::InteractEvent event;
  event.set_correlation_id(1);
  event.mutable_progress()->set_stage(v1::Progress::STAGE_WORDS);
  event.mutable_progress()->set_done(2);
  event.mutable_progress()->set_total(3);
  Script({event, SummaryEvent(1, 0)});
  const auto stream = Open();
  ASSERT_TRUE(stream->Click(1, here_).ok());
  EXPECT_TRUE(log_.Wait(1).ok());
  EXPECT_EQ(log_.progress(1).done, 2);
  EXPECT_EQ(log_.progress(1).total, 3);
}

TEST_F(InteractTest, AStreamThatEndsAnswersWhatIsOpen) {
  Script(
      {MaskEvent(1)},
      MakeError({.code = grpc::StatusCode::UNAVAILABLE, .message = "going", .reason = "DRAINING"}));
  const auto stream = Open();
  ASSERT_TRUE(stream->Click(1, here_).ok());
  EXPECT_EQ(ErrorReason(log_.Wait(1).status()), "DRAINING");
  const absl::Status ended = stream->Finish();
  EXPECT_EQ(ErrorReason(ended), "DRAINING");
  EXPECT_EQ(stream->Click(2, here_).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(log_.answers(), 1) << "a click that was refused has no answer";
}

TEST_F(InteractTest, AfterTheEndClicksSayWhy) {
  Script({}, MakeError({.code = grpc::StatusCode::UNAVAILABLE, .reason = "STREAM_EXPIRED"}));
  const auto stream = Open();
  ASSERT_TRUE(stream->Click(1, here_).ok());
  EXPECT_EQ(ErrorReason(log_.Wait(1).status()), "STREAM_EXPIRED");
  EXPECT_EQ(ErrorReason(stream->Click(2, here_)), "STREAM_EXPIRED");
  EXPECT_EQ(ErrorReason(stream->Start({})), "STREAM_EXPIRED");
  EXPECT_EQ(ErrorReason(stream->Cancel(1)), "STREAM_EXPIRED");
}

TEST_F(InteractTest, AnswersThatBreakTheProtocolEndTheStream) {
  v1::InteractEvent no_error;
  no_error.set_correlation_id(1);
  no_error.mutable_error();
  const std::pair<const char*, std::vector<v1::InteractEvent>> cases[] = {
      {"a click that is not open", {MaskEvent(5)}},
      {"after its answer", {SummaryEvent(1, 0), MaskEvent(1)}},
      {"1 masks, 0 arrived", {SummaryEvent(1, 1)}},
      {"a prompt that was not asked", {MaskEvent(1, /*prompt=*/1)}},
      {"an error that is none", {no_error}},
      {"ended before its clicks", {MaskEvent(1)}},
  };
  for (const auto& [what, events] : cases) {
    SCOPED_TRACE(what);
    Script(events);
    EventLog log;
    auto stream = client_->Interact({}, log.Events());
    ASSERT_TRUE(stream.ok());
    ASSERT_TRUE((*stream)->Click(1, here_).ok());
    EXPECT_EQ((*stream)->Finish().code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(log.answers(), 1);
  }
}

TEST_F(InteractTest, AnIdThatIsOpenIsNotSent) {
  std::promise<void> go;
  server_.service().OnInteract([go = go.get_future().share()](grpc::ServerContext&, auto&) {
    go.wait();
    return grpc::Status::OK;
  });
  const auto stream = Open();
  ASSERT_TRUE(stream->Click(1, here_).ok());
  EXPECT_EQ(ErrorField(stream->Click(1, here_)), "id");
  go.set_value();
  EXPECT_EQ(log_.Wait(1).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(InteractTest, DestroyingTheStreamCancelsWhatIsOpen) {
  server_.service().OnInteract([](grpc::ServerContext&, auto& peer) {
    v1::InteractRequest request;
    while (peer.Read(&request)) {
    }
    return grpc::Status::CANCELLED;
  });
  auto stream = Open();
  ASSERT_TRUE(stream->Click(1, here_).ok());
  stream.reset();
  EXPECT_EQ(log_.answers(), 1);
  EXPECT_EQ(log_.Wait(1).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(InteractTest, AStopRequestAndATimeoutEndTheStream) {
  server_.service().OnInteract([](grpc::ServerContext&, auto& peer) {
    v1::InteractRequest request;
    while (peer.Read(&request)) {
    }
    return grpc::Status::CANCELLED;
  });
  std::stop_source source;
  auto stream = Open({}, {.stop = source.get_token()});
  ASSERT_TRUE(stream->Click(1, here_).ok());
  source.request_stop();
  EXPECT_EQ(log_.Wait(1).status().code(), absl::StatusCode::kCancelled);
  stream = Open({}, {.timeout = absl::Milliseconds(50)});
  ASSERT_NE(stream, nullptr);
  // The time may be over before the click is sent.
  if (stream->Click(2, here_).ok()) {
    EXPECT_EQ(log_.Wait(2).status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(InteractTest, EventsMayClick) {
  std::unique_ptr<InteractStream> stream;
  int more = 3;
  std::promise<void> set;
  std::promise<void> done;
  InteractEvents events{.on_answer = [&, ready = set.get_future().share()](
                                         uint64_t id, absl::StatusOr<SegmentSummary> summary) {
    ready.wait();
    EXPECT_TRUE(summary.ok()) << summary.status();
    // The same id again: it is free.
    if (id == 5 && --more > 0) {
      EXPECT_TRUE(stream->Click(5, here_).ok());
    } else {
      done.set_value();
    }
  }};
  auto opened = client_->Interact(
      {.session_id = request_.session_id, .image_id = request_.image_id}, std::move(events));
  ASSERT_TRUE(opened.ok());
  stream = *std::move(opened);
  set.set_value();
  ASSERT_TRUE(stream->Click(5, here_).ok());
  done.get_future().wait();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(InteractTest, WhatCannotBeSentIsRefusedHere) {
  EXPECT_EQ(ErrorField(client_->Interact({}, {}).status()), "on_answer");
  const auto stream = client_->Interact({.options = {.min_region_area_px = -1}}, log_.Events());
  EXPECT_THAT(ErrorField(stream.status()).value_or(""), HasSubstr("min_region_area_px"));
}

}  // namespace
}  // namespace semsam::client
