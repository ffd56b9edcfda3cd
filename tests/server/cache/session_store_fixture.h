// A store of sessions with small bounds, and what it reports.
#ifndef SEMSAM_TESTS_SERVER_CACHE_SESSION_STORE_FIXTURE_H_
#define SEMSAM_TESTS_SERVER_CACHE_SESSION_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "model/base/clock.h"
#include "server/cache/session_store.h"

namespace semsam {

class Counts final : public SessionStoreObserver {
 public:
  void OnCreated() override { ++created; }
  void OnClosed(SessionEnd cause) override { ++closed[static_cast<int>(cause)]; }
  void OnActive(int64_t sessions) override { active = sessions; }
  void OnRetainedBytes(int64_t bytes) override { retained = bytes; }
  void OnUnlistedImages(int64_t images) override { unlisted = images; }
  void OnMaskQueryBytes(int64_t bytes) override { queries = bytes; }
  int created = 0;
  int closed[3] = {};
  int64_t active = 0;
  int64_t retained = 0;
  int64_t unlisted = 0;
  int64_t queries = 0;
};

inline StoredImage Image(const std::string& sha256, size_t bytes = 10) {
  return {.sha256 = sha256,
          .geometry = {.original = {480, 640}},
          .bytes = std::make_shared<const std::string>(bytes, 'x')};
}

class SessionStoreTest : public ::testing::Test {
 protected:
  static SessionStoreOptions Options() {
    return {.default_ttl = absl::Seconds(60),
            .max_ttl = absl::Seconds(120),
            .max_age = absl::Seconds(200),
            .max_sessions = 3,
            .max_images_per_session = 2,
            .max_retained_bytes = 25,
            .max_labelled_masks = 3};
  }

  std::string NewSession(absl::Duration ttl = absl::ZeroDuration()) {
    absl::StatusOr<SessionInfo> session = store_.Create({}, ttl);
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() ? session->session_id : "";
  }

  FakeClock clock_;
  Counts counts_;
  SessionStore store_{Options(), clock_, &counts_};
};

}  // namespace semsam

#endif  // SEMSAM_TESTS_SERVER_CACHE_SESSION_STORE_FIXTURE_H_
