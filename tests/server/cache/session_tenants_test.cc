// What a tenant does with its sessions, and what it may: leases renewed, lists, images
// found by their digest, quotas.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "tests/server/cache/session_store_fixture.h"

namespace semsam {
namespace {

TEST_F(SessionStoreTest, ALeaseIsRenewedForAsLongAsItWas) {
  const std::string id = NewSession(absl::Seconds(30));
  clock_.Advance(absl::Seconds(20));
  const auto renewed = store_.Renew({}, id, absl::ZeroDuration());
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  EXPECT_EQ(renewed->ttl, absl::Seconds(30));
  EXPECT_EQ(renewed->expire_time, clock_.Now() + absl::Seconds(30));
}

TEST_F(SessionStoreTest, ALeaseIsRenewedForLongerAndForLess) {
  const std::string id = NewSession(absl::Seconds(30));
  ASSERT_TRUE(store_.AddImage({}, id, Image("aa")).ok());
  const auto longer = store_.Renew({}, id, absl::Seconds(120));
  ASSERT_TRUE(longer.ok()) << longer.status();
  EXPECT_EQ(longer->expire_time, clock_.Now() + absl::Seconds(120));
  EXPECT_EQ(longer->images.size(), 1);
  clock_.Advance(absl::Seconds(110));
  EXPECT_EQ(store_.Get({}, id)->expire_time, longer->create_time + absl::Seconds(200))
      << "never beyond the maximum age";
  EXPECT_EQ(store_.Renew({}, id, absl::Seconds(5))->expire_time, clock_.Now() + absl::Seconds(5));
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(ErrorReason(store_.Renew({}, id, absl::ZeroDuration()).status()),
            reason::kSessionNotFound);
}

TEST_F(SessionStoreTest, ABadTtlRenewsNothing) {
  const std::string id = NewSession();
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(ErrorField(store_.Renew({}, id, absl::Seconds(121)).status()), "ttl");
  EXPECT_EQ(ErrorField(store_.Renew({}, id, -absl::Seconds(1)).status()), "ttl");
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(store_.Get({}, id).ok());
}

class SessionListTest : public SessionStoreTest {
 protected:
  std::vector<std::string> Ids(const SessionPage& page) {
    std::vector<std::string> ids;
    for (const SessionInfo& session : page.sessions) ids.push_back(session.session_id);
    return ids;
  }
  std::string NewSessionOf(const TenantId& tenant, SessionStore& store) {
    clock_.Advance(absl::Milliseconds(1));
    return store.Create(tenant, absl::ZeroDuration())->session_id;
  }

  const TenantId mine_{"mine"};
  const TenantId other_{"other"};
  SessionStore large_{{.default_ttl = absl::Seconds(60),
                       .max_ttl = absl::Seconds(120),
                       .max_age = absl::Seconds(200)},
                      clock_};
};

TEST_F(SessionListTest, ATenantListsItsOwnSessionsByAge) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(NewSessionOf(mine_, large_));
    NewSessionOf(other_, large_);
  }
  SessionPage page = *large_.List(mine_, 2, "");
  EXPECT_EQ(Ids(page), (std::vector{ids[0], ids[1]}));
  EXPECT_FALSE(page.next_page_token.empty());
  // The last that was shown ends, and the list goes on behind it.
  ASSERT_TRUE(large_.Delete(mine_, ids[1]).ok());
  page = *large_.List(mine_, 2, page.next_page_token);
  EXPECT_EQ(Ids(page), (std::vector{ids[2], ids[3]}));
  page = *large_.List(mine_, 2, page.next_page_token);
  EXPECT_EQ(Ids(page), (std::vector{ids[4]}));
  EXPECT_EQ(page.next_page_token, "");
  EXPECT_EQ(large_.List(mine_, 4, "")->next_page_token, "") << "exactly full, and complete";
  EXPECT_TRUE(large_.List({"nobody"}, 10, "")->sessions.empty());
}

TEST_F(SessionListTest, ManyOfOneInstantAreListedOnce) {
  std::set<std::string> made;
  for (int i = 0; i < 7; ++i) made.insert(large_.Create(mine_, absl::ZeroDuration())->session_id);
  std::set<std::string> listed;
  std::string token;
  do {
    const SessionPage page = *large_.List(mine_, 3, token);
    for (const std::string& id : Ids(page)) EXPECT_TRUE(listed.insert(id).second);
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_EQ(listed, made);
}

TEST_F(SessionListTest, ATokenOfAnotherTenantShowsNothingOfIt) {
  for (int i = 0; i < 3; ++i) NewSessionOf(other_, large_);
  const std::string token = large_.List(other_, 1, "")->next_page_token;
  const std::string mine = NewSessionOf(mine_, large_);
  EXPECT_EQ(Ids(*large_.List(mine_, 10, token)), std::vector{mine});
}

TEST_F(SessionListTest, AListIsNoUseAndShowsNothingExpired) {
  NewSessionOf(mine_, large_);
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(large_.List(mine_, 10, "")->sessions.size(), 1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(large_.List(mine_, 10, "")->sessions.empty());
}

TEST_F(SessionListTest, ATokenThatNoPageGaveIsRefused) {
  for (const char* token : {"x", "!!!!", "MTIz", "Og==", "OmFi"}) {
    EXPECT_EQ(ErrorField(large_.List(mine_, 10, token).status()), "page_token") << token;
  }
}

TEST_F(SessionStoreTest, ATenantHasItsQuotaOfSessions) {
  const auto tenants = TenantTable::Parse("small max_sessions=1\nnone max_sessions=0");
  ASSERT_TRUE(tenants.ok()) << tenants.status();
  SessionStore store(Options(), clock_, &counts_, *tenants);
  const std::string first = store.Create({"small"}, absl::ZeroDuration())->session_id;
  const absl::Status status = store.Create({"small"}, absl::ZeroDuration()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), reason::kQuotaExceeded);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  EXPECT_EQ(ErrorReason(store.Create({"none"}, absl::ZeroDuration()).status()),
            reason::kQuotaExceeded);
  EXPECT_TRUE(store.Create({"large"}, absl::ZeroDuration()).ok());
  EXPECT_TRUE(store.Create({"large"}, absl::ZeroDuration()).ok());
  EXPECT_EQ(ErrorReason(store.Create({"large"}, absl::ZeroDuration()).status()),
            reason::kLimitExceeded)
      << "the server's own bound";
  ASSERT_TRUE(store.Delete({"small"}, first).ok());
  EXPECT_TRUE(store.Create({"small"}, absl::ZeroDuration()).ok());
  clock_.Advance(absl::Seconds(60));
  EXPECT_TRUE(store.Create({"small"}, absl::ZeroDuration()).ok()) << "expired ones do not count";
}

TEST_F(SessionStoreTest, ATenantsQuotaOfBytesIsItsOwn) {
  const auto tenants = TenantTable::Parse("* max_retained_mib=1");
  SessionStore store({.max_retained_bytes = 10 << 20}, clock_, &counts_, *tenants);
  const TenantId mine{"mine"};
  const TenantId other{"other"};
  const std::string a = store.Create(mine, absl::ZeroDuration())->session_id;
  const std::string b = store.Create(other, absl::ZeroDuration())->session_id;
  const std::string theirs = store.AddImage(other, b, Image("aa", 600 << 10))->image_id;
  const std::string first = store.AddImage(mine, a, Image("aa", 600 << 10))->image_id;
  const std::string second = store.AddImage(mine, a, Image("bb", 600 << 10))->image_id;
  EXPECT_EQ(store.FindImage(mine, a, first)->bytes, nullptr);
  EXPECT_NE(store.FindImage(mine, a, second)->bytes, nullptr);
  EXPECT_NE(store.FindImage(other, b, theirs)->bytes, nullptr);
}

TEST_F(SessionStoreTest, SessionsShareOneCopyOfTheBytes) {
  const std::string a = NewSession();
  const std::string b = NewSession();
  const std::string first = store_.AddImage({}, a, Image("aa"))->image_id;
  const std::string second = store_.AddImage({}, b, Image("aa"))->image_id;
  EXPECT_NE(first, second);
  EXPECT_EQ(store_.retained_bytes(), 10);
  EXPECT_EQ(store_.FindImage({}, a, first)->bytes, store_.FindImage({}, b, second)->bytes);
  ASSERT_TRUE(store_.Delete({}, a).ok());
  EXPECT_NE(store_.FindImage({}, b, second)->bytes, nullptr);
  EXPECT_EQ(counts_.unlisted, 0);
  ASSERT_TRUE(store_.Delete({}, b).ok());
  EXPECT_EQ(store_.retained_bytes(), 0);
  EXPECT_EQ(counts_.unlisted, 1);
}

TEST_F(SessionStoreTest, AnImageIsFoundByItsDigestInWhateverSessionItWas) {
  const std::string a = NewSession();
  const std::string b = NewSession();
  const absl::Status unknown = store_.FindByDigest({}, b, "aa").status();
  EXPECT_EQ(ErrorReason(unknown), reason::kImageNotFound);
  EXPECT_EQ(ErrorImageDigest(unknown), "aa");
  ASSERT_TRUE(store_.AddImage({}, a, Image("aa")).ok());
  const auto found = store_.FindByDigest({}, b, "aa");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->image_id, "");
  EXPECT_EQ(found->geometry.original, (ImageSize{480, 640}));
  EXPECT_NE(found->bytes, nullptr);
  ASSERT_TRUE(store_.Delete({}, a).ok());
  EXPECT_EQ(store_.FindByDigest({}, b, "aa")->bytes, nullptr) << "known, and no more";
  EXPECT_EQ(ErrorReason(store_.FindByDigest({}, a, "aa").status()), reason::kSessionNotFound);

  ASSERT_TRUE(store_.AddImage({}, b, Image("bb")).ok());
  ASSERT_TRUE(store_.AddImage({}, b, Image("cc")).ok());
  EXPECT_EQ(ErrorReason(store_.FindByDigest({}, b, "aa").status()), reason::kLimitExceeded);
  EXPECT_TRUE(store_.FindByDigest({}, b, "bb").ok()) << "one that is there needs no room";
}

TEST_F(SessionStoreTest, NoTenantFindsTheImageOfAnother) {
  const std::string mine = store_.Create({"mine"}, absl::ZeroDuration())->session_id;
  const std::string other = store_.Create({"other"}, absl::ZeroDuration())->session_id;
  ASSERT_TRUE(store_.AddImage({"mine"}, mine, Image("aa")).ok());
  const absl::Status unknown = store_.FindByDigest({"other"}, other, "bb").status();
  const absl::Status foreign = store_.FindByDigest({"other"}, other, "aa").status();
  EXPECT_EQ(ErrorReason(foreign), ErrorReason(unknown));
  EXPECT_EQ(foreign.message(), unknown.message());
  EXPECT_EQ(ErrorReason(store_.FindByDigest({"other"}, mine, "aa").status()),
            reason::kSessionNotFound);
  EXPECT_EQ(ErrorReason(store_.Renew({"other"}, mine, absl::ZeroDuration()).status()),
            reason::kSessionNotFound);
}

}  // namespace
}  // namespace semsam
