// Who is let in, and what tenants see of each other, over the wire.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/cache/sha256.h"
#include "tests/server/rpc/health_of.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

class RpcAuthTest : public RpcFixture {
 protected:
  void StartWithTokens() {
    Write("acme", "a-token");
    Write("globex", "g-token", /*append=*/true);
    rpc_options_.auth.tokens_file = path_;
    Start();
  }
  void Write(const std::string& tenant, const std::string& token, bool append = false) {
    std::ofstream(path_, append ? std::ios::app : std::ios::trunc)
        << tenant << " " << Sha256Hex(token) << "\n";
  }
  void TearDown() override {
    RpcFixture::TearDown();
    std::remove(path_.c_str());
  }

  static void AddToken(grpc::ClientContext& context, const std::string& token) {
    context.AddMetadata("authorization", "Bearer " + token);
  }
  grpc::StatusCode InfoWith(const std::string& token) {
    grpc::ClientContext context;
    AddToken(context, token);
    v1::GetServerInfoResponse response;
    return stub_->GetServerInfo(&context, {}, &response).error_code();
  }
  std::string SessionOf(const std::string& token) {
    grpc::ClientContext context;
    AddToken(context, token);
    v1::CreateSessionResponse response;
    EXPECT_TRUE(stub_->CreateSession(&context, {}, &response).ok());
    return response.session().session_id();
  }
  Failure GetSession(const std::string& token, const std::string& session) {
    grpc::ClientContext context;
    AddToken(context, token);
    v1::GetSessionRequest request;
    request.set_session_id(session);
    v1::GetSessionResponse response;
    return ReadFailure(stub_->GetSession(&context, request, &response));
  }

  const std::string path_ = absl::StrCat(::testing::TempDir(), "semsam_rpc_tokens_", getpid());
};

// Whatever methods the service has, or gets.
TEST_F(RpcAuthTest, NoMethodAnswersWithoutAToken) {
  StartWithTokens();
  const google::protobuf::ServiceDescriptor& service =
      *v1::GetServerInfoRequest::descriptor()->file()->FindServiceByName("SegmentationService");
  ASSERT_GE(service.method_count(), 10);
  const grpc::ByteBuffer empty = SerializeMessage(v1::GetServerInfoRequest());
  int refused = 0;
  for (int i = 0; i < service.method_count(); ++i) {
    const std::string method =
        absl::StrCat("/", service.full_name(), "/", service.method(i)->name());
    for (const char* token : {"", "wrong"}) {
      grpc::ClientContext context;
      if (*token != '\0') AddToken(context, token);
      const Failure failure = ReadFailure(CallWith(channel_, context, method, empty));
      EXPECT_EQ(failure.code, grpc::StatusCode::UNAUTHENTICATED) << method;
      EXPECT_EQ(failure.reason, "UNAUTHENTICATED") << method;
      EXPECT_EQ(failure.domain, "semsam") << method;
      ++refused;
    }
  }
  EXPECT_EQ(MetricValue(metrics_, "semsam_rejections_total{reason=\"UNAUTHENTICATED\"}"),
            std::to_string(refused));
  EXPECT_EQ(MetricValue(metrics_, "semsam_sessions_created_total"), "0");
}

TEST_F(RpcAuthTest, HealthNeedsNoToken) {
  StartWithTokens();
  EXPECT_EQ(HealthOf(channel_, ""), "SERVING");
}

TEST_F(RpcAuthTest, TheTokenTellsTheTenant) {
  StartWithTokens();
  const std::string session = SessionOf("a-token");
  EXPECT_EQ(GetSession("a-token", session).code, grpc::StatusCode::OK);
  const Failure foreign = GetSession("g-token", session);
  EXPECT_EQ(foreign.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(foreign.reason, "SESSION_NOT_FOUND");
}

TEST_F(RpcAuthTest, ATrustedProxyTellsTheTenant) {
  rpc_options_.auth.trust_tenant_metadata = true;
  Start();
  grpc::ClientContext acme;
  acme.AddMetadata("semsam-tenant", "acme");
  v1::CreateSessionResponse created;
  ASSERT_TRUE(stub_->CreateSession(&acme, {}, &created).ok());
  v1::GetSessionRequest request;
  request.set_session_id(created.session().session_id());
  v1::GetSessionResponse response;
  grpc::ClientContext globex;
  globex.AddMetadata("semsam-tenant", "globex");
  EXPECT_EQ(stub_->GetSession(&globex, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  // A client that forges a second one beside the proxy's gets nowhere.
  grpc::ClientContext forged;
  forged.AddMetadata("semsam-tenant", "acme");
  forged.AddMetadata("semsam-tenant", "globex");
  EXPECT_EQ(stub_->GetSession(&forged, request, &response).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(RpcAuthTest, TokensChangeWhileTheServerRuns) {
  StartWithTokens();
  Write("acme", "next-token");
  server_->ReloadFiles();
  EXPECT_EQ(InfoWith("a-token"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(InfoWith("next-token"), grpc::StatusCode::OK);
  std::ofstream(path_) << "nonsense\n";
  server_->ReloadFiles();
  server_->ReloadFiles();
  EXPECT_EQ(InfoWith("next-token"), grpc::StatusCode::OK) << "what was good stays";
  EXPECT_EQ(MetricValue(metrics_, "semsam_reload_failures_total{file=\"tokens\"}"), "1");
}

TEST_F(RpcAuthTest, ABadTokensFileKeepsTheServerFromStarting) {
  std::ofstream(path_) << "acme s3cret\n";
  Start();
  RpcServerOptions options = rpc_options_;
  options.auth.tokens_file = path_;
  const auto server = RpcServer::Start(options, *engine_, metrics_, clock_);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << server.status();
}

}  // namespace
}  // namespace semsam
