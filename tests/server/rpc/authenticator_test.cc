#include "server/rpc/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "server/cache/sha256.h"

namespace semsam {
namespace {

using ::testing::HasSubstr;

class AuthenticatorTest : public ::testing::Test {
 protected:
  // Replaces the file the way operators should: by rename.
  void Write(const std::string& text) {
    const std::string part = path_ + ".part";
    std::ofstream(part) << text;
    ASSERT_EQ(std::rename(part.c_str(), path_.c_str()), 0);
  }
  static std::string Line(const std::string& tenant, const std::string& token) {
    return absl::StrCat(tenant, " ", Sha256Hex(token), "\n");
  }
  // The tenant's name, or the reason it is refused for.
  static std::string Ask(const Authenticator& authenticator,
                         std::optional<std::string_view> authorization,
                         std::optional<std::string_view> tenant = std::nullopt) {
    const absl::StatusOr<TenantId> who = authenticator.Authenticate(authorization, tenant);
    if (who.ok()) return who->name;
    EXPECT_TRUE(absl::IsUnauthenticated(who.status())) << who.status();
    return ErrorReason(who.status()).value_or("no reason");
  }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "semsam_tokens_", getpid());
};

TEST_F(AuthenticatorTest, ATokenTellsItsTenant) {
  Write(absl::StrCat("# who may call\n\n", Line("acme", "s3cret"), "  ",
                     absl::AsciiStrToUpper(Sha256Hex("other")).insert(0, "globex\t"), "  # new\n",
                     Line("acme", "the next one")));
  const auto authenticator = Authenticator::Create({.tokens_file = path_});
  ASSERT_TRUE(authenticator.ok()) << authenticator.status();
  EXPECT_EQ(Ask(**authenticator, "Bearer s3cret"), "acme");
  EXPECT_EQ(Ask(**authenticator, "bearer the next one"), "acme");
  EXPECT_EQ(Ask(**authenticator, "Bearer  other "), "globex");
}

TEST_F(AuthenticatorTest, WithoutAKnownTokenNobodyIsLetIn) {
  Write(Line("acme", "s3cret"));
  const auto authenticator = Authenticator::Create({.tokens_file = path_});
  ASSERT_TRUE(authenticator.ok()) << authenticator.status();
  const std::string long_token = "Bearer " + std::string(10000, 'x');
  for (const std::string& bad :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Bearer wrong"),
        std::string("Basic s3cret"), std::string("s3cret"), "Bearer " + Sha256Hex("s3cret"),
        long_token}) {
    EXPECT_EQ(Ask(**authenticator, bad), "UNAUTHENTICATED") << bad.substr(0, 20);
  }
  EXPECT_EQ(Ask(**authenticator, std::nullopt), "UNAUTHENTICATED");
  EXPECT_EQ(Ask(**authenticator, std::nullopt, "acme"), "UNAUTHENTICATED") << "a name is no token";
}

TEST_F(AuthenticatorTest, WithoutTokensEverybodyIsTheSame) {
  const auto authenticator = Authenticator::Create({});
  ASSERT_TRUE(authenticator.ok()) << authenticator.status();
  EXPECT_EQ(Ask(**authenticator, std::nullopt), "");
  EXPECT_EQ(Ask(**authenticator, "Bearer x", "acme"), "") << "whatever they say";
}

TEST_F(AuthenticatorTest, AProxyIsBelievedWhereItIsTrusted) {
  const auto authenticator = Authenticator::Create({.trust_tenant_metadata = true});
  ASSERT_TRUE(authenticator.ok()) << authenticator.status();
  EXPECT_EQ(Ask(**authenticator, std::nullopt, "acme"), "acme");
  EXPECT_EQ(Ask(**authenticator, std::nullopt, std::nullopt), "");
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(65, 'x')}) {
    EXPECT_EQ(Ask(**authenticator, std::nullopt, bad), "UNAUTHENTICATED") << bad;
  }
  EXPECT_EQ(
      ErrorField(
          Authenticator::Create({.tokens_file = path_, .trust_tenant_metadata = true}).status()),
      "auth.trust_tenant_metadata");
}

TEST_F(AuthenticatorTest, ABadFileIsRefusedWithItsLine) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "holds no token"},
      {"# nothing\n", "holds no token"},
      {"acme\n", ":1: wants a tenant"},
      {Line("acme", "a") + "acme one two\n", ":2: wants a tenant"},
      {Line("ac/me", "a"), ":1: a tenant's name"},
      {Line(std::string(65, 'x'), "a"), ":1: a tenant's name"},
      {"acme s3cret\n", ":1: a SHA-256 has"},
      {"acme " + std::string(64, 'g') + "\n", ":1: a SHA-256 has"},
      {Line("acme", "a") + Line("globex", "a"), ":2: the same token"},
      {std::string((1 << 20) + 1, '\n'), "larger than"},
  };
  for (const auto& [text, message] : cases) {
    Write(text);
    const absl::Status status = Authenticator::Create({.tokens_file = path_}).status();
    EXPECT_EQ(ErrorField(status), "auth.tokens_file") << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
  std::remove(path_.c_str());
  EXPECT_EQ(ErrorField(Authenticator::Create({.tokens_file = path_}).status()), "auth.tokens_file");
}

TEST_F(AuthenticatorTest, AChangedFileCountsFromItsReload) {
  Write(Line("acme", "old"));
  const auto created = Authenticator::Create({.tokens_file = path_});
  ASSERT_TRUE(created.ok()) << created.status();
  Authenticator& authenticator = **created;
  Write(Line("acme", "new"));
  EXPECT_EQ(Ask(authenticator, "Bearer old"), "acme");
  EXPECT_TRUE(authenticator.Reload().ok());
  EXPECT_EQ(Ask(authenticator, "Bearer old"), "UNAUTHENTICATED");
  EXPECT_EQ(Ask(authenticator, "Bearer new"), "acme");
}

TEST_F(AuthenticatorTest, ABadChangeLeavesTheTokensAndIsReportedOnce) {
  Write(Line("acme", "old"));
  const auto created = Authenticator::Create({.tokens_file = path_});
  ASSERT_TRUE(created.ok()) << created.status();
  Authenticator& authenticator = **created;
  Write("nonsense\n");
  EXPECT_FALSE(authenticator.Reload().ok());
  EXPECT_TRUE(authenticator.Reload().ok()) << "the same change again";
  EXPECT_EQ(Ask(authenticator, "Bearer old"), "acme");
  std::remove(path_.c_str());
  EXPECT_FALSE(authenticator.Reload().ok());
  EXPECT_TRUE(authenticator.Reload().ok());
  EXPECT_EQ(Ask(authenticator, "Bearer old"), "acme");
  Write(Line("acme", "back"));
  EXPECT_TRUE(authenticator.Reload().ok());
  EXPECT_EQ(Ask(authenticator, "Bearer back"), "acme");
}

}  // namespace
}  // namespace semsam
