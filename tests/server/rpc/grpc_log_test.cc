#include "server/rpc/grpc_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "server/log/log.h"

namespace semsam {
namespace {

using ::testing::HasSubstr;

TEST(GrpcLogTest, WhatGrpcSaysIsALineOfOurs) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  grpc_init();  // until then it says nothing
  StartLog({.format = LogFormat::kJson, .fd = ends[1]});
  LogWhatGrpcSays();
  gpr_log(GPR_ERROR, "a \"bad\" handshake %d", 7);
  ASSERT_TRUE(FlushLog(absl::Seconds(60)));
  char buffer[4096];
  const ssize_t got = read(ends[0], buffer, sizeof(buffer));
  ASSERT_GT(got, 0);
  const std::string line(buffer, static_cast<size_t>(got));
  EXPECT_THAT(line, HasSubstr(R"("level":"error","event":"grpc")"));
  EXPECT_THAT(line, HasSubstr(R"("message":"a \"bad\" handshake 7")"));
  EXPECT_THAT(line, HasSubstr("grpc_log_test.cc:"));
  grpc_shutdown();
  // For the tests after this one.
  StartLog({.fd = STDOUT_FILENO});
}

}  // namespace
}  // namespace semsam
