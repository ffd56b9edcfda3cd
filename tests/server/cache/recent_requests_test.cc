#include "server/cache/recent_requests.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "model/base/errors.h"

namespace semsam {
namespace {

using Request = RecentRequests::Request;
using Method = RecentRequests::Method;

class RecentRequestsTest : public ::testing::Test {
 protected:
  // The outcome of `request`; a request that is carried out gets a number of its own.
  std::string Make(const Request& request) {
    std::string outcome;
    const absl::Status status = recent_.Once(
        request,
        [&]() -> absl::StatusOr<std::string> {
          if (!next_.ok()) return next_;
          outcome = std::to_string(++runs_);
          return outcome;
        },
        [&](const std::string& before) {
          outcome = before;
          return before != void_;
        });
    return status.ok() ? outcome : ErrorField(status).value_or("failed");
  }
  static Request Create(const std::string& id, const std::string& digest = "d") {
    return {.tenant = {"mine"}, .id = id, .digest = digest};
  }

  FakeClock clock_;
  int64_t size_ = 0;
  int runs_ = 0;
  std::string void_;
  absl::Status next_;
  RecentRequests recent_{
      {.ttl = absl::Seconds(10), .max_entries = 3}, clock_, [this](int64_t size) { size_ = size; }};
};

TEST_F(RecentRequestsTest, TheSameRequestHasOneOutcome) {
  EXPECT_EQ(Make(Create("a")), "1");
  EXPECT_EQ(Make(Create("b")), "2");
  EXPECT_EQ(Make(Create("a")), "1");
  EXPECT_EQ(runs_, 2);
  EXPECT_EQ(size_, 2);
}

TEST_F(RecentRequestsTest, AnIdIsOfOneTenantAndMethod) {
  EXPECT_EQ(Make(Create("a")), "1");
  EXPECT_EQ(Make({.tenant = {"other"}, .id = "a", .digest = "d"}), "2");
  EXPECT_EQ(Make({.tenant = {"mine"}, .method = Method::kDeleteSession, .id = "a", .digest = "d"}),
            "3");
}

TEST_F(RecentRequestsTest, AnotherRequestUnderTheIdIsRefused) {
  EXPECT_EQ(Make(Create("a", "one")), "1");
  EXPECT_EQ(Make(Create("a", "two")), "request_id");
  EXPECT_EQ(Make(Create("a", "one")), "1");
}

TEST_F(RecentRequestsTest, AFailureIsNotRemembered) {
  next_ = absl::UnavailableError("not now");
  EXPECT_EQ(Make(Create("a")), "failed");
  next_ = absl::OkStatus();
  EXPECT_EQ(Make(Create("a", "whatever it was")), "1");
}

TEST_F(RecentRequestsTest, AnOutcomeThatIsVoidIsMadeAnew) {
  EXPECT_EQ(Make(Create("a")), "1");
  void_ = "1";
  EXPECT_EQ(Make(Create("a")), "2");
  EXPECT_EQ(Make(Create("a")), "2");
  EXPECT_EQ(size_, 1);
  void_ = "2";
  next_ = absl::UnavailableError("not now");
  EXPECT_EQ(Make(Create("a")), "failed");
}

TEST_F(RecentRequestsTest, RequestsAreForgottenInTime) {
  EXPECT_EQ(Make(Create("a")), "1");
  clock_.Advance(absl::Seconds(9));
  EXPECT_EQ(Make(Create("b")), "2");
  EXPECT_EQ(Make(Create("a")), "1") << "a replay makes it no younger";
  clock_.Advance(absl::Seconds(1));
  recent_.Sweep();
  EXPECT_EQ(size_, 1);
  EXPECT_EQ(Make(Create("a")), "3");
  EXPECT_EQ(Make(Create("b")), "2");
}

TEST_F(RecentRequestsTest, TheOldestMakesRoom) {
  for (const char* id : {"a", "b", "c", "d"}) Make(Create(id));
  EXPECT_EQ(size_, 3);
  EXPECT_EQ(Make(Create("b")), "2");
  EXPECT_EQ(Make(Create("a")), "5");
}

TEST_F(RecentRequestsTest, IdsAreChecked) {
  EXPECT_EQ(Make(Create("2f1c4a52-9b1e-4a53-8f5b-0d3f6c1c7a10")), "1");
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(65, 'a')}) {
    EXPECT_EQ(Make(Create(bad)), "request_id") << bad;
  }
  EXPECT_EQ(runs_, 1);
}

TEST(RecentRequests, OfManyAtOnceOneIsCarriedOut) {
  RealClock clock;
  RecentRequests recent({}, clock);
  std::atomic<int> runs = 0;
  std::atomic<int> replays = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const absl::Status status = recent.Once(
            {.id = std::to_string(i)},
            [&]() -> absl::StatusOr<std::string> {
              ++runs;
              return "done";
            },
            [&](const std::string& outcome) {
              ++replays;
              return outcome == "done";
            });
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(runs, 200);
  EXPECT_EQ(replays, 600);
}

TEST(RecentRequestsOptions, ValidateNamesTheField) {
  EXPECT_TRUE(RecentRequestsOptions{}.Validate().ok());
  EXPECT_EQ(ErrorField(RecentRequestsOptions{.ttl = -absl::Seconds(1)}.Validate()), "ttl");
  EXPECT_EQ(ErrorField(RecentRequestsOptions{.max_entries = -1}.Validate()), "max_entries");
}

}  // namespace
}  // namespace semsam
