// TLS: who is believed, on either side, and certificates that change.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "server/rpc/credentials.h"
#include "tests/fakes/tls_identity.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

namespace fs = std::filesystem;

class RpcTlsTest : public RpcFixture {
 protected:
  RpcTlsTest() {
    fs::create_directories(folder_);
    Install("first", identity_);
    rpc_options_.tls = {.cert_file = folder_ + "/now/tls.crt",
                        .key_file = folder_ + "/now/tls.key",
                        .reload_interval = absl::Seconds(1)};
  }
  ~RpcTlsTest() override { fs::remove_all(folder_); }

  // Replaces the files the way Kubernetes does: a link that points elsewhere at once.
  void Install(const std::string& name, const TlsIdentity& identity) {
    fs::create_directories(folder_ + "/" + name);
    Write(name + "/tls.crt", identity.certificate);
    Write(name + "/tls.key", identity.key);
    fs::create_directory_symlink(folder_ + "/" + name, folder_ + "/next");
    fs::rename(folder_ + "/next", folder_ + "/now");
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  // A connection of its own that trusts `server` and shows `own`, if there is one.
  std::unique_ptr<Stub> Connect(const TlsIdentity& server, const TlsIdentity* own = nullptr) {
    grpc::SslCredentialsOptions ssl{.pem_root_certs = server.certificate};
    if (own != nullptr) {
      ssl.pem_private_key = own->key;
      ssl.pem_cert_chain = own->certificate;
    }
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::SegmentationService::NewStub(
        grpc::CreateCustomChannel(server_->address(), grpc::SslCredentials(ssl), arguments));
  }
  static grpc::StatusCode Info(Stub& stub) {
    grpc::ClientContext context;
    v1::GetServerInfoResponse response;
    return stub.GetServerInfo(&context, {}, &response).error_code();
  }

  const TlsIdentity identity_ = MakeTlsIdentity();
  const std::string folder_ = absl::StrCat(::testing::TempDir(), "semsam_tls_", getpid());
};

TEST_F(RpcTlsTest, TheServerIsWhoItsCertificateSays) {
  Start();
  EXPECT_EQ(Info(*Connect(identity_)), grpc::StatusCode::OK);
  EXPECT_EQ(Info(*Connect(MakeTlsIdentity())), grpc::StatusCode::UNAVAILABLE) << "another's";
  EXPECT_EQ(Info(*stub_), grpc::StatusCode::UNAVAILABLE) << "plain text";
  EXPECT_NE(MetricValue(metrics_, "semsam_certificate_expiry_timestamp_seconds"), "0");
}

TEST_F(RpcTlsTest, ClientsShowACertificateWhereTheyMust) {
  const TlsIdentity client = MakeTlsIdentity();
  rpc_options_.tls.client_ca_file = Write("clients.pem", client.certificate);
  Start();
  EXPECT_EQ(Info(*Connect(identity_, &client)), grpc::StatusCode::OK);
  EXPECT_EQ(Info(*Connect(identity_)), grpc::StatusCode::UNAVAILABLE) << "none";
  const TlsIdentity stranger = MakeTlsIdentity();
  EXPECT_EQ(Info(*Connect(identity_, &stranger)), grpc::StatusCode::UNAVAILABLE) << "another's";
}

TEST_F(RpcTlsTest, NewConnectionsGetTheNewCertificate) {
  Start();
  const std::unique_ptr<Stub> before = Connect(identity_);
  ASSERT_EQ(Info(*before), grpc::StatusCode::OK);
  const TlsIdentity next = MakeTlsIdentity();
  Install("second", next);
  // Whoever trusts the new one alone gets through in the end; ctest has a limit.
  while (Info(*Connect(next)) != grpc::StatusCode::OK) {
  }
  EXPECT_EQ(Info(*Connect(identity_)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Info(*before), grpc::StatusCode::OK) << "a connection lives on";
}

TEST_F(RpcTlsTest, AChangeThatCannotBeUsedIsReportedOnce) {
  Start();
  server_->ReloadFiles();
  EXPECT_EQ(MetricValue(metrics_, "semsam_reload_failures_total{file=\"certificate\"}"), "0");
  Install("mismatch", {.key = MakeTlsIdentity().key, .certificate = identity_.certificate});
  server_->ReloadFiles();
  server_->ReloadFiles();
  EXPECT_EQ(MetricValue(metrics_, "semsam_reload_failures_total{file=\"certificate\"}"), "1");
}

TEST_F(RpcTlsTest, BadFilesAreNamed) {
  const std::string good_cert = rpc_options_.tls.cert_file;
  const std::string good_key = rpc_options_.tls.key_file;
  const std::string none = folder_ + "/none.pem";
  const std::string text = Write("text.pem", "no PEM\n");
  const std::string other_key = Write("other.key", MakeTlsIdentity().key);
  const std::pair<const char*, TlsOptions> cases[] = {
      {"tls.cert_file", {.cert_file = none, .key_file = good_key}},
      {"tls.cert_file", {.cert_file = text, .key_file = good_key}},
      {"tls.key_file", {.cert_file = good_cert, .key_file = none}},
      {"tls.key_file", {.cert_file = good_cert, .key_file = text}},
      {"tls.key_file", {.cert_file = good_cert, .key_file = other_key}},
      {"tls.client_ca_file",
       {.cert_file = good_cert, .key_file = good_key, .client_ca_file = text}},
      {"tls.client_ca_file",
       {.cert_file = good_cert, .key_file = good_key, .client_ca_file = none}},
  };
  for (const auto& [field, options] : cases) {
    EXPECT_TRUE(options.Validate().ok());
    const absl::Status status = ListenCredentials(options).status();
    EXPECT_EQ(ErrorField(status), field) << status;
  }
  EXPECT_TRUE(CheckTlsFiles({}).ok());
  EXPECT_EQ(*CertificateExpiry({}), absl::InfiniteFuture());
  EXPECT_EQ(ErrorField(TlsOptions{.cert_file = good_cert}.Validate()), "tls.key_file");
  EXPECT_EQ(ErrorField(TlsOptions{.key_file = good_key}.Validate()), "tls.cert_file");
  EXPECT_EQ(ErrorField(TlsOptions{.client_ca_file = text}.Validate()), "tls.client_ca_file");
}

}  // namespace
}  // namespace semsam
