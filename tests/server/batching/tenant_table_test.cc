#include "server/batching/tenant_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace semsam {
namespace {

TEST(TenantTable, WithoutRowsNothingIsBounded) {
  EXPECT_EQ(TenantTable().Of({"anybody"}), TenantQuota{});
  const auto table = TenantTable::Parse("\n  # nothing\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_TRUE(table->rows().empty());
  EXPECT_EQ(table->Of({}).max_sessions, kUnboundedQuota);
}

TEST(TenantTable, ARowBoundsItsTenantAndTheStarAllOthers) {
  const auto table = TenantTable::Parse(
      "* max_sessions=2 max_retained_mib=3 # the others\r\n"
      "lab\tmax_calls=4 max_queries=500  max_background_calls=0 weight=3\n"
      "sends max_upload_mib=5\n"
      "free.of_all-bounds");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(
      table->Of({"lab"}),
      (TenantQuota{.max_calls = 4, .max_queries = 500, .max_background_calls = 0, .weight = 3}));
  EXPECT_EQ(table->Of({"sends"}).weight, 1);
  EXPECT_EQ(table->Of({"sends"}), (TenantQuota{.max_upload_bytes = 5 << 20}));
  EXPECT_EQ(table->Of({"free.of_all-bounds"}), TenantQuota{});
  for (const char* name : {"", "someone", "*"}) {
    EXPECT_EQ(table->Of({name}), (TenantQuota{.max_sessions = 2, .max_retained_bytes = 3 << 20}))
        << name;
  }
  const TenantTable copy = *table;
  EXPECT_EQ(&copy.Of({"lab"}), &table->Of({"lab"}));
}

TEST(TenantTable, ABadRowIsRefusedByItsLine) {
  struct Case {
    const char* text;
    const char* says;
  };
  for (const Case& bad : {Case{"lab\nl@b", "line 2: a tenant's name"},
                          Case{"\n\nlab max_calls=0", "line 3: max_calls must be"},
                          Case{"lab max_queries=2000000000", "from 1 to 1073741824"},
                          Case{"lab weight=0", "weight must be a whole number from 1 to 1000"},
                          Case{"lab weight=1001", "weight must be"},
                          Case{"lab max_sessions=-1", "max_sessions must be"},
                          Case{"lab max_sessions=1e3", "max_sessions must be"},
                          Case{"lab max_sessions=", "max_sessions must be"},
                          Case{"lab max_sessions", "max_sessions must be"},
                          Case{"lab max_retained_mib=99999999999999", "max_retained_mib must be"},
                          Case{"lab max_wishes=3", "there is no bound 'max_wishes'"},
                          Case{"lab\nlab", "line 2: lab comes twice"}}) {
    const absl::Status status = TenantTable::Parse(bad.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(bad.says)) << bad.text;
  }
}

TEST(TenantTable, RowsAreBounded) {
  std::string text;
  for (int i = 0; i < 10000; ++i) text += "tenant" + std::to_string(i) + "\n";
  EXPECT_TRUE(TenantTable::Parse(text).ok());
  EXPECT_FALSE(TenantTable::Parse(text + "onemore").ok());
}

TEST(TenantId, NamesFromOutsideAreChecked) {
  for (const char* good : {"a", "Lab-1.example_2"}) EXPECT_TRUE(IsValidTenantName(good)) << good;
  EXPECT_TRUE(IsValidTenantName(std::string(64, 'a')));
  for (const char* bad : {"", "a b", "a\n", "*", "a/b", "\xC3\xA4"}) {
    EXPECT_FALSE(IsValidTenantName(bad)) << bad;
  }
  EXPECT_FALSE(IsValidTenantName(std::string(65, 'a')));
}

}  // namespace
}  // namespace semsam
