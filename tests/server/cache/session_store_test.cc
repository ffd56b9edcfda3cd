#include "server/cache/session_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "model/base/errors.h"
#include "server/cache/random_id.h"
#include "tests/server/cache/session_store_fixture.h"

namespace semsam {
namespace {

TEST_F(SessionStoreTest, UseRenewsTheLease) {
  const std::string id = NewSession();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Seconds(50));
    ASSERT_TRUE(store_.Get({}, id).ok()) << i;
  }
  clock_.Advance(absl::Seconds(60));
  EXPECT_EQ(ErrorReason(store_.Get({}, id).status()), reason::kSessionNotFound);
  EXPECT_EQ(counts_.closed[static_cast<int>(SessionEnd::kMaxAge)] +
                counts_.closed[static_cast<int>(SessionEnd::kIdle)],
            1);
  EXPECT_EQ(counts_.active, 0);
}

TEST_F(SessionStoreTest, AnIdleSessionEndsAtItsTtl) {
  const std::string id = NewSession(absl::Seconds(30));
  clock_.Advance(absl::Seconds(29));
  EXPECT_EQ(store_.SweepExpired(), 0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(store_.SweepExpired(), 1);
  EXPECT_EQ(counts_.closed[static_cast<int>(SessionEnd::kIdle)], 1);
  EXPECT_TRUE(absl::IsNotFound(store_.Delete({}, id)));
}

TEST_F(SessionStoreTest, NoUseRenewsBeyondTheMaximumAge) {
  const std::string id = NewSession(absl::Seconds(120));
  clock_.Advance(absl::Seconds(110));
  absl::StatusOr<SessionInfo> info = store_.Get({}, id);
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->expire_time, info->create_time + absl::Seconds(200));
  clock_.Advance(absl::Seconds(90));
  EXPECT_FALSE(store_.Get({}, id).ok());
  EXPECT_EQ(counts_.closed[static_cast<int>(SessionEnd::kMaxAge)], 1);
}

TEST_F(SessionStoreTest, AnExpiredSessionIsNeverServedEvenUnswept) {
  const std::string id = NewSession();
  clock_.Advance(absl::Seconds(61));
  EXPECT_TRUE(absl::IsNotFound(store_.FindImage({}, id, "i").status()));
}

TEST_F(SessionStoreTest, TheTtlIsChecked) {
  EXPECT_EQ(ErrorField(store_.Create({}, absl::Seconds(121)).status()), "ttl");
  EXPECT_EQ(ErrorField(store_.Create({}, -absl::Seconds(1)).status()), "ttl");
  EXPECT_EQ(store_.Create({}, absl::ZeroDuration())->ttl, absl::Seconds(60));
}

TEST_F(SessionStoreTest, AFullStoreRefusesUntilOneEnds) {
  const std::string first = NewSession();
  NewSession();
  NewSession();
  const absl::Status status = store_.Create({}, absl::ZeroDuration()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  ASSERT_TRUE(store_.Delete({}, first).ok());
  EXPECT_TRUE(store_.Create({}, absl::ZeroDuration()).ok());
  clock_.Advance(absl::Seconds(61));
  EXPECT_TRUE(store_.Create({}, absl::ZeroDuration()).ok()) << "expired sessions make room";
  EXPECT_EQ(counts_.active, 1);
}

TEST_F(SessionStoreTest, ImagesAreFoundByIdInTheirOwnSessionOnly) {
  const std::string mine = NewSession();
  const std::string other = NewSession();
  absl::StatusOr<StoredImage> image = store_.AddImage({}, mine, Image("aa"));
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(store_.FindImage({}, mine, image->image_id)->sha256, "aa");
  const absl::Status status = store_.FindImage({}, other, image->image_id).status();
  EXPECT_EQ(ErrorReason(status), reason::kImageNotFound);
  EXPECT_FALSE(ErrorImageDigest(status).has_value());
}

TEST_F(SessionStoreTest, ASessionOfAnotherTenantIsAsGoodAsUnknown) {
  const TenantId mine{"mine"};
  const TenantId other{"other"};
  const std::string id = store_.Create(mine, absl::ZeroDuration())->session_id;
  const std::string image = store_.AddImage(mine, id, Image("aa"))->image_id;
  const uint64_t mask = store_.RetainQuery(mine, id, {1, 2});
  const absl::Status unknown = store_.Get(other, "nobody").status();
  clock_.Advance(absl::Seconds(50));
  EXPECT_EQ(store_.Get(other, id).status(), unknown);
  EXPECT_EQ(store_.FindImage(other, id, image).status(), unknown);
  EXPECT_EQ(store_.CheckRoom(other, id, "aa"), unknown);
  EXPECT_EQ(store_.AddImage(other, id, Image("bb")).status(), unknown);
  EXPECT_EQ(store_.FindQueries(other, id, {mask}).status(), unknown);
  EXPECT_EQ(store_.RetainQuery(other, id, {1, 2}), 0);
  EXPECT_EQ(store_.Delete(other, id), unknown);
  clock_.Advance(absl::Seconds(9));
  EXPECT_TRUE(store_.FindImage(mine, id, image).ok());
  clock_.Advance(absl::Seconds(59));
  EXPECT_FALSE(store_.Get(other, id).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(store_.Get(mine, id).ok()) << "no use by the other renewed it";
}

TEST_F(SessionStoreTest, TheSameBytesKeepTheirImageId) {
  const std::string id = NewSession();
  const std::string first = store_.AddImage({}, id, Image("aa"))->image_id;
  EXPECT_EQ(store_.AddImage({}, id, Image("aa"))->image_id, first);
  EXPECT_EQ(store_.Get({}, id)->images.size(), 1);
  EXPECT_EQ(store_.retained_bytes(), 10);
}

TEST_F(SessionStoreTest, ImagesASessionAreBounded) {
  const std::string id = NewSession();
  ASSERT_TRUE(store_.CheckRoom({}, id, "aa").ok());
  ASSERT_TRUE(store_.AddImage({}, id, Image("aa", 1)).ok());
  ASSERT_TRUE(store_.AddImage({}, id, Image("bb", 1)).ok());
  EXPECT_EQ(ErrorReason(store_.CheckRoom({}, id, "cc")), reason::kLimitExceeded);
  EXPECT_EQ(ErrorReason(store_.CheckRoom({}, id, "")), reason::kLimitExceeded);
  EXPECT_TRUE(store_.CheckRoom({}, id, "aa").ok()) << "one that is there needs no room";
  EXPECT_EQ(store_.AddImage({}, id, Image("cc", 1)).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(store_.AddImage({}, id, Image("aa", 1)).ok()) << "one that is there needs no room";
}

TEST_F(SessionStoreTest, AFullSessionTakesBackAnImageWhoseBytesWent) {
  const std::string id = NewSession();
  const std::string image = store_.AddImage({}, id, Image("aa", 26))->image_id;
  ASSERT_TRUE(store_.AddImage({}, id, Image("bb", 1)).ok());
  EXPECT_TRUE(store_.CheckRoom({}, id, "aa").ok());
  EXPECT_TRUE(store_.CheckRoom({}, id, "").ok()) << "it may be that one";
  EXPECT_EQ(store_.AddImage({}, id, Image("aa", 1))->image_id, image);
  EXPECT_FALSE(store_.CheckRoom({}, id, "").ok()) << "nothing is missing any more";
}

TEST_F(SessionStoreTest, BytesOfTheLeastRecentlyUsedImageGoFirst) {
  const std::string a = NewSession();
  const std::string b = NewSession();
  const std::string first = store_.AddImage({}, a, Image("aa"))->image_id;
  const std::string second = store_.AddImage({}, a, Image("bb"))->image_id;
  ASSERT_NE(store_.FindImage({}, a, first)->bytes, nullptr);
  const std::string third = store_.AddImage({}, b, Image("cc"))->image_id;
  EXPECT_NE(store_.FindImage({}, a, first)->bytes, nullptr) << "used since";
  EXPECT_EQ(store_.FindImage({}, a, second)->bytes, nullptr);
  EXPECT_EQ(store_.FindImage({}, a, second)->sha256, "bb")
      << "the client learns what to send again";
  EXPECT_NE(store_.FindImage({}, b, third)->bytes, nullptr);
  EXPECT_EQ(store_.retained_bytes(), 20);
  EXPECT_EQ(counts_.retained, 20);
}

TEST_F(SessionStoreTest, AnImageLargerThanTheBudgetIsListedWithoutBytes) {
  const std::string id = NewSession();
  const std::string image = store_.AddImage({}, id, Image("aa", 26))->image_id;
  EXPECT_EQ(store_.FindImage({}, id, image)->bytes, nullptr);
  EXPECT_EQ(store_.retained_bytes(), 0);
}

TEST_F(SessionStoreTest, TheEndOfASessionGivesItsBytesBack) {
  const std::string deleted = NewSession();
  const std::string expired = NewSession();
  ASSERT_TRUE(store_.AddImage({}, deleted, Image("aa")).ok());
  ASSERT_TRUE(store_.AddImage({}, expired, Image("bb")).ok());
  ASSERT_TRUE(store_.Delete({}, deleted).ok());
  EXPECT_EQ(store_.retained_bytes(), 10);
  clock_.Advance(absl::Seconds(61));
  EXPECT_EQ(store_.SweepExpired(), 1);
  EXPECT_EQ(store_.retained_bytes(), 0);
  EXPECT_EQ(counts_.created, 2);
}

TEST(RandomId, IdsAreLongAndNeverRepeat) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    absl::StatusOr<std::string> id = RandomHexId(160);
    ASSERT_TRUE(id.ok());
    EXPECT_EQ(id->size(), 40);
    ids.insert(*id);
  }
  EXPECT_EQ(ids.size(), 1000);
}

TEST(SessionStoreOptions, ValidateNamesTheField) {
  EXPECT_TRUE(SessionStoreOptions{}.Validate().ok());
  SessionStoreOptions options;
  options.max_ttl = absl::Seconds(1);
  EXPECT_EQ(ErrorField(options.Validate()), "max_ttl");
}

TEST(SessionStoreStress, SessionsComeAndGoOnManyThreads) {
  RealClock clock;
  SessionStore store({.max_sessions = 8, .max_retained_bytes = 100}, clock);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        absl::StatusOr<SessionInfo> session = store.Create({}, absl::ZeroDuration());
        if (!session.ok()) continue;
        for (int k = 0; k < 3; ++k) {
          absl::StatusOr<StoredImage> image =
              store.AddImage({}, session->session_id, Image(std::to_string(t * 10 + k), 10 + k));
          if (image.ok()) (void)store.FindImage({}, session->session_id, image->image_id);
        }
        store.SweepExpired();
        EXPECT_TRUE(store.Delete({}, session->session_id).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.retained_bytes(), 0);
}

TEST_F(SessionStoreTest, QueriesOfMasksAreFoundAgainInTheirSession) {
  const std::string id = NewSession();
  const uint64_t first = store_.RetainQuery({}, id, {1, 2});
  const uint64_t second = store_.RetainQuery({}, id, {3, 4});
  const auto rows = store_.FindQueries({}, id, {second, first, second});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT(*rows, ::testing::ElementsAre(3, 4, 1, 2, 3, 4));
  const absl::Status missing = store_.FindQueries({}, NewSession(), {first}).status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_EQ(ErrorReason(missing), reason::kMaskNotFound);
  EXPECT_EQ(ErrorField(missing), "mask_ids[0]");
}

TEST_F(SessionStoreTest, TheOldestQueriesOfASessionMakeRoom) {
  const std::string id = NewSession();
  std::vector<uint64_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(store_.RetainQuery({}, id, {static_cast<float>(i)}));
  EXPECT_EQ(ErrorField(store_.FindQueries({}, id, {ids[3], ids[0]}).status()), "mask_ids[1]");
  EXPECT_TRUE(store_.FindQueries({}, id, {ids[1], ids[2], ids[3]}).ok());
}

TEST_F(SessionStoreTest, QueriesEndWithTheirSession) {
  const std::string deleted = NewSession();
  const std::string expired = NewSession(absl::Seconds(30));
  store_.RetainQuery({}, deleted, {1, 2});
  store_.RetainQuery({}, expired, {1, 2});
  const int64_t both = counts_.queries;
  EXPECT_GT(both, 0);
  ASSERT_TRUE(store_.Delete({}, deleted).ok());
  EXPECT_EQ(counts_.queries, both / 2);
  EXPECT_EQ(store_.RetainQuery({}, deleted, {1, 2}), 0);
  clock_.Advance(absl::Seconds(30));
  EXPECT_EQ(store_.RetainQuery({}, expired, {1, 2}), 0) << "expired, and not swept yet";
  EXPECT_EQ(store_.SweepExpired(), 1);
  EXPECT_EQ(counts_.queries, 0);
}

}  // namespace
}  // namespace semsam
