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
  EXPECT_EQ(written.window_bytes, 10);
  EXPECT_EQ(Read(written.next), "b");
  written = queue.OnWritten(/*ok=*/true);
  EXPECT_EQ(written.window_bytes, 20);
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
  EXPECT_EQ(written.window_bytes, 10);
  EXPECT_FALSE(written.next.any());
  EXPECT_FALSE(queue.Push(Message("c"), 1).any());
  EXPECT_EQ(Read(queue.Fail(absl::CancelledError("left"))), "end CANCELLED");
}

}  // namespace
}  // namespace semsam
