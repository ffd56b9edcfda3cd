#include "server/rpc/send_queue.h"

#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace semsam {
namespace {

grpc::ByteBuffer Message(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

// The text to write, "end CODE", or "" for nothing.
std::string Read(const SendQueue::Step& step) {
  if (step.write == nullptr) {
    return step.end.has_value() ? "end " + absl::StatusCodeToString(step.end->code()) : "";
  }
  EXPECT_FALSE(step.end.has_value());
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(step.write->Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

TEST(SendQueue, OneMessageIsWrittenAtATimeAndTheStatusLast) {
  SendQueue queue;
  EXPECT_EQ(Read(queue.Push(Message("a"), 10)), "a");
  EXPECT_EQ(Read(queue.Push(Message("b"), 20)), "");
  EXPECT_EQ(Read(queue.PushLast(Message("c"))), "");
  SendQueue::Written written = queue.OnWritten(/*ok=*/true);
  EXPECT_EQ(written.window_bytes(), 10);
  EXPECT_EQ(Read(written.next), "b");
  written = queue.OnWritten(/*ok=*/true);
  EXPECT_EQ(written.window_bytes(), 20);
  EXPECT_EQ(Read(written.next), "c");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "end OK");
}

TEST(SendQueue, AnIdleQueueWritesAtOnce) {
  SendQueue queue;
  EXPECT_EQ(Read(queue.Push(Message("a"), 1)), "a");
  EXPECT_FALSE(queue.OnWritten(/*ok=*/true).next.any());
  EXPECT_EQ(Read(queue.PushLast(Message("b"))), "b");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "end OK");
}

TEST(SendQueue, AnErrorOvertakesWhatWaitsButNotTheWriteUnderWay) {
  SendQueue queue;
  EXPECT_EQ(Read(queue.Push(Message("a"), 1)), "a");
  EXPECT_EQ(Read(queue.Push(Message("b"), 1)), "");
  EXPECT_EQ(Read(queue.Fail(absl::NotFoundError("gone"))), "");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "end NOT_FOUND");
  SendQueue idle;
  EXPECT_EQ(Read(idle.Fail(absl::NotFoundError("gone"))), "end NOT_FOUND");
}

TEST(SendQueue, AfterAWriteThatFailedNothingIsSentButTheStatus) {
  SendQueue queue;
  EXPECT_EQ(Read(queue.Push(Message("a"), 10)), "a");
  EXPECT_EQ(Read(queue.Push(Message("b"), 20)), "");
  const SendQueue::Written written = queue.OnWritten(/*ok=*/false);
  EXPECT_EQ(written.window_bytes(), 10);
  EXPECT_FALSE(written.next.any());
  EXPECT_FALSE(queue.Push(Message("c"), 1).any());
  EXPECT_EQ(Read(queue.Fail(absl::CancelledError("left"))), "end CANCELLED");
}

TEST(SendQueue, TheStatusOfAnEndWaitsForWhatWaits) {
  SendQueue queue;
  EXPECT_EQ(Read(queue.Push(Message("a"), 1)), "a");
  EXPECT_EQ(Read(queue.Push(Message("b"), 1)), "");
  EXPECT_EQ(Read(queue.End(absl::UnavailableError("going"))), "");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "b");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "end UNAVAILABLE");
  SendQueue idle;
  EXPECT_EQ(Read(idle.End(absl::OkStatus())), "end OK");
}

TEST(SendQueue, OfOneOwnersProgressOnlyTheLatestWaits) {
  SendQueue queue;
  EXPECT_EQ(Read(queue.PushProgress(Message("1 of 9"), /*owner=*/1)), "1 of 9");
  EXPECT_EQ(Read(queue.PushProgress(Message("2 of 9"), /*owner=*/1)), "");
  EXPECT_EQ(Read(queue.PushProgress(Message("1 of 5"), /*owner=*/2)), "");
  EXPECT_EQ(Read(queue.PushProgress(Message("8 of 9"), /*owner=*/1)), "");
  EXPECT_EQ(Read(queue.Push(Message("mask"), 1, /*owner=*/1)), "");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "8 of 9");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "1 of 5");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "mask");
}

TEST(SendQueue, MessagesThatWaitTravelTogetherUpToABound) {
  SendQueue queue({.join_bytes = 4});
  EXPECT_EQ(Read(queue.Push(Message("a"), 10, /*owner=*/1)), "a");
  EXPECT_EQ(Read(queue.Push(Message("bb"), 20, /*owner=*/2)), "");
  EXPECT_EQ(Read(queue.Push(Message("cc"), 30, /*owner=*/1)), "");
  EXPECT_EQ(Read(queue.Push(Message("d"), 40, /*owner=*/3)), "");
  EXPECT_EQ(Read(queue.Push(Message("large"), 50, /*owner=*/3)), "");
  SendQueue::Written written = queue.OnWritten(/*ok=*/true);
  EXPECT_EQ(Read(written.next), "bbcc");
  written = queue.OnWritten(/*ok=*/true);
  ASSERT_EQ(written.credits.size(), 2);
  EXPECT_EQ(written.credits[0].owner, 2);
  EXPECT_EQ(written.credits[0].bytes, 20);
  EXPECT_EQ(written.credits[1].owner, 1);
  EXPECT_EQ(written.credits[1].bytes, 30);
  EXPECT_EQ(Read(written.next), "d");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "large");
}

TEST(SendQueue, AMessageThatIsHeldLeavesWithTheNext) {
  SendQueue queue({.join_bytes = 100});
  queue.Hold(Message("mask"), 10, /*owner=*/1);
  EXPECT_EQ(Read(queue.Push(Message(", answer"), 0, /*owner=*/1)), "mask, answer");
  queue.Hold(Message("more"), 10, /*owner=*/1);
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "") << "not alone";
  EXPECT_EQ(Read(queue.Push(Message(" of it"), 0, /*owner=*/2)), "more of it");
  queue.Hold(Message("rest"), 10, /*owner=*/1);
  EXPECT_EQ(Read(queue.End(absl::OkStatus())), "");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "rest");
  EXPECT_EQ(Read(queue.OnWritten(/*ok=*/true).next), "end OK");
}

TEST(SendQueue, WhoFoundNoRoomIsToldWhenThereIs) {
  SendQueue queue({.room_messages = 2, .room_bytes = 100});
  EXPECT_TRUE(queue.HasRoom());
  EXPECT_EQ(Read(queue.Push(Message("a"), 60)), "a");
  EXPECT_TRUE(queue.HasRoom());
  EXPECT_EQ(Read(queue.Push(Message("b"), 60)), "");
  EXPECT_FALSE(queue.HasRoom()) << "too many bytes";
  EXPECT_EQ(Read(queue.Push(Message("c"), 0)), "");
  EXPECT_EQ(Read(queue.Push(Message("d"), 0)), "");
  EXPECT_FALSE(queue.OnWritten(/*ok=*/true).room) << "too many messages";
  EXPECT_TRUE(queue.OnWritten(/*ok=*/true).room);
  EXPECT_FALSE(queue.OnWritten(/*ok=*/true).room) << "once";
}

TEST(SendQueue, AWriteThatFailedMakesRoom) {
  SendQueue queue({.room_messages = 1});
  EXPECT_EQ(Read(queue.Push(Message("a"), 60)), "a");
  EXPECT_EQ(Read(queue.Push(Message("b"), 60)), "");
  EXPECT_FALSE(queue.HasRoom());
  EXPECT_TRUE(queue.OnWritten(/*ok=*/false).room) << "or nobody would learn of the end";
}

}  // namespace
}  // namespace semsam
