// Reaching a server: options, TLS, health, and what a user reads when it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "grpcpp/health_check_service_interface.h"
#include "tests/client/scripted_server.h"
#include "tests/fakes/tls_identity.h"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;

constexpr char kService[] = "semsam.v1.SegmentationService";

TEST(ClientOptionsTest, EveryOptionThatCannotWorkIsNamed) {
  const std::pair<const char*, std::function<void(ClientOptions&)>> cases[] = {
      {"target", [](ClientOptions& o) { o.target = ""; }},
      {"ca_file", [](ClientOptions& o) { o.ca_file = "ca.pem"; }},
      {"tls_server_name", [](ClientOptions& o) { o.tls_server_name = "name"; }},
      {"cert_file", [](ClientOptions& o) { o.cert_file = "own.pem"; }},
      {"key_file", [](ClientOptions& o) { o.key_file = "own.key"; }},
      {"key_file",
       [](ClientOptions& o) {
         o.tls = true;
         o.cert_file = "own.pem";
       }},
      {"cert_file",
       [](ClientOptions& o) {
         o.tls = true;
         o.cert_file = o.key_file = "/nonexistent.pem";
       }},
      {"token_file", [](ClientOptions& o) { o.token_file = "/nonexistent"; }},
      {"token_file", [](ClientOptions& o) { o.token_file = "/dev/null"; }},
      {"token_file",
       [](ClientOptions& o) {
         o.token_file = "/dev/null";
         o.metadata = {{"authorization", "Bearer token"}};
       }},
      {"retry.max_attempts", [](ClientOptions& o) { o.retry.max_attempts = 0; }},
      {"retry.max_attempts", [](ClientOptions& o) { o.retry.max_attempts = 6; }},
      {"retry.max_backoff", [](ClientOptions& o) { o.retry.max_backoff = absl::ZeroDuration(); }},
      {"retry.max_backoff",
       [](ClientOptions& o) { o.retry.initial_backoff = absl::ZeroDuration(); }},
      {"keepalive_time", [](ClientOptions& o) { o.keepalive_time = absl::ZeroDuration(); }},
      {"keepalive_timeout", [](ClientOptions& o) { o.keepalive_timeout = absl::ZeroDuration(); }},
      {"connect_timeout", [](ClientOptions& o) { o.connect_timeout = absl::Seconds(-1); }},
      {"default_timeout", [](ClientOptions& o) { o.default_timeout = absl::ZeroDuration(); }},
      {"default_upload_timeout",
       [](ClientOptions& o) { o.default_upload_timeout = absl::ZeroDuration(); }},
      {"default_long_timeout",
       [](ClientOptions& o) { o.default_long_timeout = absl::ZeroDuration(); }},
      {"chunk_bytes", [](ClientOptions& o) { o.chunk_bytes = 0; }},
      {"chunk_bytes", [](ClientOptions& o) { o.chunk_bytes = 3 << 20; }},
      {"max_message_bytes", [](ClientOptions& o) { o.max_message_bytes = 0; }},
      {"metadata",
       [](ClientOptions& o) {
         o.metadata = {{"Upper", "x"}};
       }},
      {"metadata",
       [](ClientOptions& o) {
         o.metadata = {{"grpc-timeout", "1S"}};
       }},
      {"metadata",
       [](ClientOptions& o) {
         o.metadata = {{"key", "line\nbreak"}};
       }},
      {"ca_file",
       [](ClientOptions& o) {
         o.tls = true;
         o.ca_file = "/nonexistent.pem";
       }},
  };
  for (const auto& [field, change] : cases) {
    ClientOptions options{.target = "127.0.0.1:1"};
    EXPECT_TRUE(options.Validate().ok());
    change(options);
    const absl::Status status = Client::Connect(options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << field << ": " << status;
    EXPECT_EQ(ErrorField(status), field);
  }
}

TEST(ConnectTest, AnUnreachableServerIsNamed) {
  std::string address;
  {
    ScriptedServer gone;
    address = gone.address();
  }
  const absl::Status status = Client::Connect({.target = address}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
}

TEST(ConnectTest, WithoutATimeoutTheFirstCallFindsOut) {
  std::string address;
  {
    ScriptedServer gone;
    address = gone.address();
  }
  const auto client = Client::Connect({.target = address, .connect_timeout = absl::ZeroDuration()});
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE(absl::IsUnavailable((*client)->GetServerInfo().status()));
}

TEST(ConnectTest, AnotherGrpcServerIsToldFromASemsamServer) {
  ScriptedServer other({.with_segmentation = false});
  const absl::Status status = Client::Connect({.target = other.address()}).status();
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no Semsam server"));
}

TEST(ConnectTest, WaitsForAServerThatComesUpLater) {
  int port = 0;
  {
    ScriptedServer probe;
    port = probe.port();
  }
  const std::string address = absl::StrCat("127.0.0.1:", port);
  auto connected = std::async(std::launch::async, [&address] {
    return Client::Connect(
               {.target = address, .connect_timeout = absl::Seconds(30), .wait_for_server = true})
        .status();
  });
  ScriptedServer server({.port = port});
  EXPECT_TRUE(connected.get().ok());
}

TEST(ConnectTest, MetadataGoesWithEveryCall) {
  ScriptedServer server;
  const auto client = Client::Connect(
      {.target = server.address(), .metadata = {{"authorization", "Bearer token"}}});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto metadata = server.service().metadata();
  const auto token = metadata.find("authorization");
  ASSERT_NE(token, metadata.end());
  EXPECT_EQ(token->second, "Bearer token");
}

TEST(ConnectTest, TheTokenOfAFileGoesWithEveryCall) {
  const std::string path = testing::TempDir() + "/semsam_client_token";
  std::ofstream(path) << "first-token\n";
  ScriptedServer server;
  const auto client = Client::Connect({.target = server.address(), .token_file = path});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto sent = [&server] {
    const auto metadata = server.service().metadata();
    const auto token = metadata.find("authorization");
    return token == metadata.end() ? "none" : token->second;
  };
  EXPECT_EQ(sent(), "Bearer first-token");
  // Tokens change: another file takes its place.
  std::ofstream(path + ".next") << "second-token";
  ASSERT_EQ(std::rename((path + ".next").c_str(), path.c_str()), 0);
  ASSERT_TRUE((*client)->GetServerInfo().ok());
  EXPECT_EQ(sent(), "Bearer second-token");
  std::ofstream(path) << "no token\n";
  ASSERT_TRUE((*client)->GetServerInfo().ok());
  EXPECT_EQ(sent(), "Bearer second-token") << "what was good stays";
  std::remove(path.c_str());
  ASSERT_TRUE((*client)->GetServerInfo().ok());
  EXPECT_EQ(sent(), "Bearer second-token");
}

class RetryTest : public ::testing::Test {
 protected:
  // Uploads to a server that refuses `refusals` times; how often it was asked.
  int Upload(int max_attempts, int refusals, grpc::StatusCode code, int retry_after_ms = 0) {
    ScriptedServer server;
    const auto asked = std::make_shared<std::atomic<int>>(0);
    server.service().OnUploadHeader([asked, refusals,
                                     refusal = MakeError({.code = code,
                                                          .message = "not now",
                                                          .reason = "QUEUE_FULL",
                                                          .retry_after_ms = retry_after_ms})](
                                        const v1::UploadImageHeader&) -> grpc::Status {
      return ++*asked <= refusals ? refusal : grpc::Status::OK;
    });
    const auto client = Client::Connect({.target = server.address(),
                                         .retry = {.max_attempts = max_attempts,
                                                   .initial_backoff = absl::Milliseconds(1),
                                                   .max_backoff = absl::Milliseconds(10)}});
    EXPECT_TRUE(client.ok()) << client.status();
    const auto session = (*client)->CreateSession();
    EXPECT_TRUE(session.ok()) << session.status();
    uploaded_ = (*client)->UploadImage(session->session_id, "an image").status();
    return *asked;
  }

  absl::Status uploaded_;
};

TEST_F(RetryTest, NothingIsRepeatedUnlessAskedFor) {
  EXPECT_EQ(Upload(/*max_attempts=*/1, /*refusals=*/1, grpc::StatusCode::UNAVAILABLE), 1);
  EXPECT_TRUE(absl::IsUnavailable(uploaded_)) << uploaded_;
}

TEST_F(RetryTest, WhatIsRefusedForNowIsAskedAgain) {
  EXPECT_EQ(Upload(/*max_attempts=*/3, /*refusals=*/2, grpc::StatusCode::UNAVAILABLE), 3);
  EXPECT_TRUE(uploaded_.ok()) << uploaded_;
  EXPECT_EQ(Upload(/*max_attempts=*/3, /*refusals=*/1, grpc::StatusCode::RESOURCE_EXHAUSTED,
                   /*retry_after_ms=*/2),
            2);
  EXPECT_TRUE(uploaded_.ok()) << uploaded_;
}

TEST_F(RetryTest, WhereWaitingCannotHelpNobodyWaits) {
  EXPECT_EQ(Upload(/*max_attempts=*/3, /*refusals=*/1, grpc::StatusCode::RESOURCE_EXHAUSTED), 1);
  EXPECT_TRUE(absl::IsResourceExhausted(uploaded_)) << uploaded_;
  EXPECT_EQ(Upload(/*max_attempts=*/3, /*refusals=*/1, grpc::StatusCode::RESOURCE_EXHAUSTED,
                   /*retry_after_ms=*/3'600'000),
            1)
      << "the call would be over by then";
  EXPECT_TRUE(absl::IsResourceExhausted(uploaded_)) << uploaded_;
}

TEST_F(RetryTest, AStoppedCallWaitsNoLonger) {
  ScriptedServer server;
  const auto stop = std::make_shared<std::stop_source>();
  const auto asked = std::make_shared<std::atomic<int>>(0);
  server.service().OnUploadHeader([stop, asked](const v1::UploadImageHeader&) {
    ++*asked;
    stop->request_stop();
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now");
  });
  const auto client = Client::Connect({.target = server.address(),
                                       .retry = {.max_attempts = 3,
                                                 .initial_backoff = absl::Minutes(1),
                                                 .max_backoff = absl::Minutes(1)}});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto session = (*client)->CreateSession();
  ASSERT_TRUE(session.ok()) << session.status();
  const auto uploaded =
      (*client)->UploadImage(session->session_id, "an image", nullptr, {.stop = stop->get_token()});
  EXPECT_FALSE(uploaded.ok());
  EXPECT_EQ(*asked, 1);
}

TEST_F(RetryTest, ARefusedUnaryCallIsAskedAgain) {
  ScriptedServer server;
  const auto asked = std::make_shared<std::atomic<int>>(0);
  server.service().OnRefresh(
      [asked](const v1::RefreshLabelsRequest&, const v1::RefreshLabelsResponse&) -> grpc::Status {
        if (++*asked <= 2) return {grpc::StatusCode::UNAVAILABLE, "not now"};
        return grpc::Status::OK;
      });
  const auto client = Client::Connect({.target = server.address(),
                                       .retry = {.max_attempts = 3,
                                                 .initial_backoff = absl::Milliseconds(1),
                                                 .max_backoff = absl::Milliseconds(10)}});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto refreshed = (*client)->RefreshLabels({});
  EXPECT_TRUE(refreshed.ok()) << refreshed.status();
  EXPECT_EQ(*asked, 3);
}

TEST_F(RetryTest, ThereIsAnEndToIt) {
  EXPECT_EQ(Upload(/*max_attempts=*/3, /*refusals=*/9, grpc::StatusCode::UNAVAILABLE), 3);
  EXPECT_TRUE(absl::IsUnavailable(uploaded_)) << uploaded_;
}

TEST_F(RetryTest, WhatIsWrongIsNotAskedAgain) {
  EXPECT_EQ(Upload(/*max_attempts=*/3, /*refusals=*/1, grpc::StatusCode::INVALID_ARGUMENT), 1);
  EXPECT_TRUE(absl::IsInvalidArgument(uploaded_)) << uploaded_;
}

TEST(GetServerInfoTest, ConvertsEveryField) {
  ScriptedServer server;
  auto& sent = server.service().info;
  sent.mutable_model()->set_trained(false);
  sent.mutable_model()->set_short_edge_px(640);
  sent.mutable_model()->mutable_capabilities()->set_part_labels(true);
  sent.mutable_limits()->set_max_image_pixels(3);
  sent.mutable_limits()->set_max_prompts_per_request(4);
  sent.mutable_limits()->set_max_images_per_session(5);
  sent.mutable_limits()->set_max_sessions(6);
  sent.mutable_limits()->mutable_max_session_ttl()->set_seconds(7);
  sent.mutable_limits()->mutable_max_session_age()->set_seconds(8);
  sent.mutable_limits()->set_max_queued_requests(9);
  sent.mutable_limits()->mutable_default_deadline()->set_nanos(10'000'000);
  sent.mutable_limits()->set_max_words(11);
  sent.mutable_limits()->set_max_word_characters(12);
  sent.mutable_limits()->set_max_points_per_side(13);
  sent.mutable_limits()->set_max_labelled_masks(14);
  sent.mutable_limits()->mutable_request_id_ttl()->set_seconds(15);
  sent.mutable_limits()->set_max_message_bytes(15);
  sent.mutable_limits()->mutable_max_deadline()->set_seconds(16);
  sent.mutable_limits()->mutable_default_session_ttl()->set_seconds(17);
  sent.mutable_limits()->mutable_max_upload_pause()->set_seconds(18);
  sent.mutable_limits()->mutable_min_ping_interval()->set_seconds(19);
  sent.mutable_limits()->set_max_open_clicks(15);
  sent.mutable_limits()->mutable_max_interact_age()->set_seconds(16);
  const auto client = Client::Connect({.target = server.address()});
  ASSERT_TRUE(client.ok()) << client.status();
  const auto info = (*client)->GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->server_version, "9.8.7");
  EXPECT_EQ(info->model.name, "scripted");
  EXPECT_EQ(info->model.digest, "d1");
  EXPECT_EQ(info->model.device, "cpu");
  EXPECT_FALSE(info->model.trained);
  EXPECT_EQ(info->model.short_edge_px, 640);
  ASSERT_EQ(info->model.levels.size(), 6);
  EXPECT_EQ(info->model.levels[2].level, 3);
  EXPECT_EQ(info->model.levels[2].name, "instance");
  EXPECT_TRUE(info->model.capabilities.click_prompts);
  EXPECT_TRUE(info->model.capabilities.box_prompts);
  EXPECT_FALSE(info->model.capabilities.object_labels);
  EXPECT_TRUE(info->model.capabilities.part_labels);
  EXPECT_FALSE(info->model.capabilities.vocabulary);
  EXPECT_EQ(info->limits.max_image_bytes, 64 << 20);
  EXPECT_EQ(info->limits.request_id_ttl, absl::Seconds(15));
  EXPECT_EQ(info->limits.max_chunk_bytes, 256 << 10);
  EXPECT_EQ(info->limits.max_image_pixels, 3);
  EXPECT_EQ(info->limits.max_prompts_per_request, 4);
  EXPECT_EQ(info->limits.max_images_per_session, 5);
  EXPECT_EQ(info->limits.max_sessions, 6);
  EXPECT_EQ(info->limits.max_session_ttl, absl::Seconds(7));
  EXPECT_EQ(info->limits.max_session_age, absl::Seconds(8));
  EXPECT_EQ(info->limits.max_queued_requests, 9);
  EXPECT_EQ(info->limits.default_deadline, absl::Milliseconds(10));
  EXPECT_EQ(info->limits.max_words, 11);
  EXPECT_EQ(info->limits.max_word_characters, 12);
  EXPECT_EQ(info->limits.max_points_per_side, 13);
  EXPECT_EQ(info->limits.max_labelled_masks, 14);
  EXPECT_EQ(info->limits.max_message_bytes, 15);
  EXPECT_EQ(info->limits.max_deadline, absl::Seconds(16));
  EXPECT_EQ(info->limits.default_session_ttl, absl::Seconds(17));
  EXPECT_EQ(info->limits.max_upload_pause, absl::Seconds(18));
  EXPECT_EQ(info->limits.min_ping_interval, absl::Seconds(19));
  EXPECT_EQ(info->limits.max_open_clicks, 15);
  EXPECT_EQ(info->limits.max_interact_age, absl::Seconds(16));
}

TEST(CheckHealthTest, FollowsTheServersRecord) {
  ScriptedServer server;
  const auto client = Client::Connect({.target = server.address()});
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(*(*client)->CheckHealth(), HealthStatus::kUnknown);  // no record yet
  auto* health = server.server().GetHealthCheckService();
  health->SetServingStatus(kService, true);
  EXPECT_EQ(*(*client)->CheckHealth(), HealthStatus::kServing);
  health->SetServingStatus(kService, false);
  EXPECT_EQ(*(*client)->CheckHealth(), HealthStatus::kNotServing);
}

class TlsTest : public ::testing::Test {
 protected:
  static std::shared_ptr<grpc::ServerCredentials> Credentials(const TlsIdentity& identity) {
    grpc::SslServerCredentialsOptions ssl;
    ssl.pem_key_cert_pairs = {{identity.key, identity.certificate}};
    return grpc::SslServerCredentials(ssl);
  }

  std::string WriteCertificate(const std::string& name, const TlsIdentity& identity) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << identity.certificate;
    return path;
  }

  const TlsIdentity identity_ = MakeTlsIdentity();
  ScriptedServer server_{{.credentials = Credentials(identity_)}};
};

TEST_F(TlsTest, ATrustedCertificateConnects) {
  const auto client = Client::Connect({.target = server_.address(),
                                       .tls = true,
                                       .ca_file = WriteCertificate("trusted.pem", identity_),
                                       .tls_server_name = "localhost"});
  EXPECT_TRUE(client.ok()) << client.status();
}

TEST_F(TlsTest, AnUntrustedCertificateIsRefused) {
  const auto client = Client::Connect({.target = server_.address(),
                                       .tls = true,
                                       .ca_file = WriteCertificate("other.pem", MakeTlsIdentity()),
                                       .tls_server_name = "localhost"});
  EXPECT_TRUE(absl::IsUnavailable(client.status())) << client.status();
}

TEST_F(TlsTest, AnotherNameInTheCertificateIsRefused) {
  const auto client = Client::Connect({.target = server_.address(),
                                       .tls = true,
                                       .ca_file = WriteCertificate("name.pem", identity_),
                                       .tls_server_name = "elsewhere"});
  EXPECT_TRUE(absl::IsUnavailable(client.status())) << client.status();
}

TEST(MutualTlsTest, TheClientShowsItsCertificate) {
  const TlsIdentity server_identity = MakeTlsIdentity();
  const TlsIdentity own = MakeTlsIdentity();
  grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  ssl.pem_key_cert_pairs = {{server_identity.key, server_identity.certificate}};
  ssl.pem_root_certs = own.certificate;
  ScriptedServer server({.credentials = grpc::SslServerCredentials(ssl)});
  const auto write = [](const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "/semsam_mtls_" + name;
    std::ofstream(path) << text;
    return path;
  };
  ClientOptions options{.target = server.address(),
                        .tls = true,
                        .ca_file = write("ca.pem", server_identity.certificate),
                        .tls_server_name = "localhost"};
  EXPECT_FALSE(Client::Connect(options).ok()) << "it shows none";
  options.cert_file = write("own.pem", own.certificate);
  options.key_file = write("own.key", own.key);
  const auto client = Client::Connect(options);
  EXPECT_TRUE(client.ok()) << client.status();
}

TEST_F(TlsTest, PlainTextToATlsServerFails) {
  EXPECT_FALSE(Client::Connect({.target = server_.address()}).ok());
}

}  // namespace
}  // namespace semsam::client
