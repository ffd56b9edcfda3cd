// Reaching a server: options, TLS, health, and what a user reads when it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <future>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "grpcpp/health_check_service_interface.h"
#include "openssl/evp.h"
#include "openssl/pem.h"
#include "openssl/x509v3.h"
#include "tests/client/scripted_server.h"

namespace semsam::client {
namespace {

using ::testing::HasSubstr;

constexpr char kService[] = "semsam.v1.SegmentationService";

TEST(ClientOptionsTest, EveryOptionThatCannotWorkIsNamed) {
  const std::pair<const char*, std::function<void(ClientOptions&)>> cases[] = {
      {"target", [](ClientOptions& o) { o.target = ""; }},
      {"ca_file", [](ClientOptions& o) { o.ca_file = "ca.pem"; }},
      {"tls_server_name", [](ClientOptions& o) { o.tls_server_name = "name"; }},
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

// A key and a certificate for "localhost" that vouches for itself, PEM.
struct TlsIdentity {
  std::string key;
  std::string certificate;
};

std::string ReadBio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, size);
}

TlsIdentity MakeTlsIdentity() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(certificate, names, -1);
  X509_sign(certificate, key, EVP_sha256());

  BIO* key_pem = BIO_new(BIO_s_mem());
  BIO* certificate_pem = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_pem, key, nullptr, nullptr, 0, nullptr, nullptr);
  PEM_write_bio_X509(certificate_pem, certificate);
  TlsIdentity identity{.key = ReadBio(key_pem), .certificate = ReadBio(certificate_pem)};
  BIO_free(key_pem);
  BIO_free(certificate_pem);
  X509_EXTENSION_free(names);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
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

TEST_F(TlsTest, PlainTextToATlsServerFails) {
  EXPECT_FALSE(Client::Connect({.target = server_.address()}).ok());
}

}  // namespace
}  // namespace semsam::client
