#include "client/cli/connection.h"

#include <gtest/gtest.h>

namespace semsam::client {
namespace {

TEST(ConnectionFlagsTest, EveryFlagReachesTheClient) {
  ConnectionFlags flags;
  ArgParser parser;
  AddConnectionFlags(parser, flags);
  ASSERT_TRUE(parser
                  .Parse({"--server", "host:1", "--tls", "--ca-file", "ca.pem", "--tls-server-name",
                          "name", "--cert-file", "own.pem", "--key-file", "own.key", "--token-file",
                          "token", "--attempts", "4", "--timeout", "7"})
                  .ok());
  const ClientOptions options = ToClientOptions(flags);
  EXPECT_EQ(options.target, "host:1");
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.ca_file, "ca.pem");
  EXPECT_EQ(options.tls_server_name, "name");
  EXPECT_EQ(options.cert_file, "own.pem");
  EXPECT_EQ(options.key_file, "own.key");
  EXPECT_EQ(options.token_file, "token");
  EXPECT_EQ(options.retry.max_attempts, 4);
  EXPECT_EQ(options.default_timeout, absl::Seconds(7));
  EXPECT_TRUE(options.Validate().ok()) << options.Validate();
}

TEST(ConnectionFlagsTest, NothingIsRepeatedUnlessAskedFor) {
  EXPECT_EQ(ToClientOptions({}).retry.max_attempts, 1);
  ConnectionFlags flags;
  ArgParser parser;
  AddConnectionFlags(parser, flags);
  EXPECT_FALSE(parser.Parse({"--attempts", "0"}).ok());
}

}  // namespace
}  // namespace semsam::client
