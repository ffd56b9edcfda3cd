// Sessions and tenants as a client of generated stubs sees them.
#include <gmock/gmock.h>

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "server/cache/sha256.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

class RpcSessionTest : public RpcFixture {
 protected:
  using Context = grpc::ClientContext;

  // The context of a call of `tenant`; empty: of nobody.
  static void SetTenant(Context& context, const std::string& tenant) {
    if (!tenant.empty()) context.AddMetadata("semsam-tenant", tenant);
  }

  // Makes a unary call for `tenant`.
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(Context*, const Request&, Response*),
                    const Request& request, Response& response, const std::string& tenant = "") {
    Context context;
    SetTenant(context, tenant);
    return ((*stub_).*method)(&context, request, &response);
  }

  grpc::Status Create(const std::string& request_id, int64_t ttl_s, v1::Session& session,
                      const std::string& tenant = "") {
    v1::CreateSessionRequest request;
    request.set_request_id(request_id);
    request.mutable_ttl()->set_seconds(ttl_s);
    v1::CreateSessionResponse response;
    const grpc::Status status = Call(&Stub::CreateSession, request, response, tenant);
    session = response.session();
    return status;
  }
  std::string NewSessionOf(const std::string& tenant) {
    v1::Session session;
    const grpc::Status status = Create("", 60, session, tenant);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return session.session_id();
  }

  grpc::Status UploadAs(const std::string& tenant, const std::string& session,
                        const std::string& bytes, v1::UploadImageResponse& response) {
    Context context;
    SetTenant(context, tenant);
    const auto writer = stub_->UploadImage(&context, &response);
    (void)(writer->Write(Header(session)) && writer->Write(Chunk(bytes)));
    writer->WritesDone();
    return writer->Finish();
  }

  grpc::Status Attach(const std::string& session, const std::string& sha256,
                      v1::AttachImageResponse& response, const std::string& tenant = "") {
    v1::AttachImageRequest request;
    request.set_session_id(session);
    request.set_sha256(sha256);
    return Call(&Stub::AttachImage, request, response, tenant);
  }

  grpc::Status List(const std::string& tenant, v1::ListSessionsResponse& response,
                    uint32_t page_size = 0, const std::string& page_token = "") {
    v1::ListSessionsRequest request;
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    return Call(&Stub::ListSessions, request, response, tenant);
  }

  const std::string bytes_ = FakeImageBytes(80, 64);
};

TEST_F(RpcSessionTest, ALeaseIsRenewed) {
  Start();
  v1::Session session;
  ASSERT_TRUE(Create("", 60, session).ok());
  v1::RenewSessionRequest request;
  request.set_session_id(session.session_id());
  request.mutable_ttl()->set_seconds(1200);
  v1::RenewSessionResponse response;
  ASSERT_TRUE(Call(&Stub::RenewSession, request, response).ok());
  EXPECT_EQ(response.session().session_id(), session.session_id());
  EXPECT_EQ(response.session().ttl().seconds(), 1200);
  EXPECT_GE(response.session().expire_time().seconds() - session.create_time().seconds(), 1200);
  request.clear_ttl();
  ASSERT_TRUE(Call(&Stub::RenewSession, request, response).ok());
  EXPECT_EQ(response.session().ttl().seconds(), 1200);
  request.mutable_ttl()->set_seconds(1000000);
  EXPECT_EQ(ReadFailure(Call(&Stub::RenewSession, request, response)).field, "ttl");
  request.set_session_id("nobody");
  request.clear_ttl();
  EXPECT_EQ(ReadFailure(Call(&Stub::RenewSession, request, response)).reason, "SESSION_NOT_FOUND");
}

TEST_F(RpcSessionTest, ARequestIdMakesARepeatHarmless) {
  Start();
  v1::Session first;
  v1::Session again;
  ASSERT_TRUE(Create("2f1c4a52-9b1e-4a53-8f5b-0d3f6c1c7a10", 60, first).ok());
  ASSERT_TRUE(Create("2f1c4a52-9b1e-4a53-8f5b-0d3f6c1c7a10", 60, again).ok());
  EXPECT_EQ(again.session_id(), first.session_id());
  const Failure other = ReadFailure(Create("2f1c4a52-9b1e-4a53-8f5b-0d3f6c1c7a10", 61, again));
  EXPECT_EQ(other.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(other.field, "request_id");
  v1::DeleteSessionRequest end;
  end.set_session_id(first.session_id());
  end.set_request_id("end");
  v1::DeleteSessionResponse ended;
  EXPECT_TRUE(Call(&Stub::DeleteSession, end, ended).ok());
  EXPECT_TRUE(Call(&Stub::DeleteSession, end, ended).ok());
  end.clear_request_id();
  EXPECT_EQ(ReadFailure(Call(&Stub::DeleteSession, end, ended)).reason, "SESSION_NOT_FOUND");
}

TEST_F(RpcSessionTest, AnImageIsAttachedByItsDigest) {
  Start();
  v1::UploadImageResponse uploaded;
  ASSERT_TRUE(UploadAs("", NewSessionOf(""), bytes_, uploaded).ok());
  const std::string session = NewSessionOf("");
  v1::AttachImageResponse attached;
  const grpc::Status status = Attach(session, uploaded.image().sha256(), attached);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(attached.cached());
  EXPECT_EQ(attached.image().sha256(), uploaded.image().sha256());
  EXPECT_EQ(attached.image().size().width(), 80);
  EXPECT_EQ(segmenter_->encoded_images(), 1);
  v1::SegmentRequest click;
  click.set_session_id(session);
  click.set_image_id(attached.image().image_id());
  AddClick(click, 40, 32);
  EXPECT_TRUE(Segment(click).status.ok());

  const Failure unknown = ReadFailure(Attach(session, std::string(64, 'A'), attached));
  EXPECT_EQ(unknown.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(unknown.reason, "IMAGE_NOT_FOUND");
  EXPECT_EQ(unknown.sha256, std::string(64, 'a'));
  EXPECT_EQ(ReadFailure(Attach(session, "abc", attached)).field, "sha256");
  EXPECT_EQ(MetricValue(metrics_, "semsam_requests_total{code=\"OK\",method=\"AttachImage\"}"),
            "1");
}

TEST_F(RpcSessionTest, AnAttachThatWaitsForAnEncodeEndsWithItsCaller) {
  options_.cache_bytes = 0;
  Start();
  v1::UploadImageResponse uploaded;
  ASSERT_TRUE(UploadAs("", NewSessionOf(""), bytes_, uploaded).ok());
  engine_->Tick();
  encodes_.Shut();
  v1::AttachImageRequest request;
  request.set_session_id(NewSessionOf(""));
  request.set_sha256(uploaded.image().sha256());
  Context context;
  grpc::CompletionQueue queue;
  const auto reader = stub_->AsyncAttachImage(&context, request, &queue);
  v1::AttachImageResponse response;
  grpc::Status status;
  reader->Finish(&response, &status, nullptr);
  encodes_.WaitForCalls(2);
  context.TryCancel();
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  queue.Shutdown();
  EXPECT_FALSE(queue.Next(&tag, &ok));
  WaitForMetric("semsam_requests_total{code=\"CANCELLED\",method=\"AttachImage\"}", "1");
  WaitForMetric("semsam_segment_calls_active", "0");
}

TEST_F(RpcSessionTest, WithoutTenantsNobodyIsShownSessions) {
  Start();
  NewSessionOf("");
  v1::ListSessionsResponse response;
  const Failure failure = ReadFailure(List("", response));
  EXPECT_EQ(failure.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(failure.reason, "TENANT_REQUIRED");
  EXPECT_EQ(ReadFailure(List("lab", response)).reason, "TENANT_REQUIRED")
      << "what a client says of itself is believed where the server is told to";
}

class RpcTenantTest : public RpcSessionTest {
 protected:
  void SetUp() override {
    auto tenants = TenantTable::Parse("small max_sessions=1 max_retained_mib=3 max_calls=2");
    ASSERT_TRUE(tenants.ok()) << tenants.status();
    options_.tenants = *std::move(tenants);
    rpc_options_.auth.trust_tenant_metadata = true;
    Start();
  }
};

TEST_F(RpcTenantTest, ATenantListsItsSessionsPageByPage) {
  std::set<std::string> made;
  for (int i = 0; i < 5; ++i) made.insert(NewSessionOf("lab"));
  NewSessionOf("other");
  std::set<std::string> listed;
  v1::ListSessionsResponse page;
  do {
    const grpc::Status status = List("lab", page, 2, page.next_page_token());
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_LE(page.sessions_size(), 2);
    for (const v1::Session& session : page.sessions()) {
      EXPECT_TRUE(listed.insert(session.session_id()).second);
      EXPECT_EQ(session.ttl().seconds(), 60);
    }
  } while (!page.next_page_token().empty());
  EXPECT_EQ(listed, made);
  EXPECT_EQ(ReadFailure(List("lab", page, 2, "token")).field, "page_token");
  EXPECT_EQ(ReadFailure(List("", page)).reason, "TENANT_REQUIRED") << "who names none has none";
}

TEST_F(RpcTenantTest, TenantsSeeNothingOfEachOther) {
  const std::string session = NewSessionOf("lab");
  v1::UploadImageResponse uploaded;
  ASSERT_TRUE(UploadAs("lab", session, bytes_, uploaded).ok());
  const std::string other = NewSessionOf("other");

  // Each call by the session's id: of another tenant, and of a session that is not there.
  const std::pair<const char*, std::function<grpc::Status(const std::string&)>> calls[] = {
      {"get",
       [&](const std::string& id) {
         v1::GetSessionRequest request;
         request.set_session_id(id);
         v1::GetSessionResponse response;
         return Call(&Stub::GetSession, request, response, "other");
       }},
      {"renew",
       [&](const std::string& id) {
         v1::RenewSessionRequest request;
         request.set_session_id(id);
         v1::RenewSessionResponse response;
         return Call(&Stub::RenewSession, request, response, "other");
       }},
      {"upload",
       [&](const std::string& id) {
         v1::UploadImageResponse response;
         return UploadAs("other", id, bytes_, response);
       }},
      {"attach",
       [&](const std::string& id) {
         v1::AttachImageResponse response;
         return Attach(id, Sha256Hex(bytes_), response, "other");
       }},
      {"segment",
       [&](const std::string& id) {
         v1::SegmentRequest request;
         request.set_session_id(id);
         request.set_image_id(uploaded.image().image_id());
         AddClick(request, 40, 32);
         Context context;
         SetTenant(context, "other");
         return Segment(request, context).status;
       }},
      {"delete",
       [&](const std::string& id) {
         v1::DeleteSessionRequest request;
         request.set_session_id(id);
         v1::DeleteSessionResponse response;
         return Call(&Stub::DeleteSession, request, response, "other");
       }},
  };
  for (const auto& [name, call] : calls) {
    const grpc::Status foreign = call(session);
    const grpc::Status unknown = call("nobody");
    EXPECT_EQ(ReadFailure(foreign).reason, "SESSION_NOT_FOUND") << name;
    EXPECT_EQ(foreign.error_message(), unknown.error_message()) << name;
    EXPECT_EQ(foreign.error_details(), unknown.error_details()) << name;
  }

  // By the image's digest.
  v1::AttachImageResponse attached;
  EXPECT_EQ(ReadFailure(Attach(other, Sha256Hex(bytes_), attached, "other")).reason,
            "IMAGE_NOT_FOUND");
  v1::UploadImageResponse theirs;
  ASSERT_TRUE(UploadAs("other", other, bytes_, theirs).ok());
  EXPECT_FALSE(theirs.cached());
  v1::ListSessionsResponse listed;
  ASSERT_TRUE(List("other", listed).ok());
  ASSERT_EQ(listed.sessions_size(), 1);
  EXPECT_EQ(listed.sessions(0).session_id(), other);

  // And the tenant's own.
  EXPECT_TRUE(Attach(NewSessionOf("lab"), Sha256Hex(bytes_), attached, "lab").ok());
  EXPECT_TRUE(attached.cached());
}

TEST_F(RpcTenantTest, ATenantIsToldItsQuota) {
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(Call(&Stub::GetServerInfo, v1::GetServerInfoRequest(), info, "small").ok());
  EXPECT_EQ(info.quota().tenant(), "small");
  EXPECT_EQ(info.quota().max_sessions(), 1);
  EXPECT_EQ(info.quota().max_retained_image_bytes(), 3 << 20);
  EXPECT_EQ(info.quota().max_requests(), 2);
  // Its share of what all may have.
  EXPECT_EQ(info.quota().max_queries(), 2048);
  EXPECT_EQ(info.quota().max_background_requests(), 4);
  EXPECT_EQ(info.limits().request_id_ttl().seconds(), 600);
  NewSessionOf("small");
  v1::Session session;
  const Failure failure = ReadFailure(Create("", 60, session, "small"));
  EXPECT_EQ(failure.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(failure.reason, "QUOTA_EXCEEDED");
  EXPECT_TRUE(failure.has_retry_delay);
  EXPECT_EQ(MetricValue(metrics_, "semsam_rejections_total{reason=\"QUOTA_EXCEEDED\"}"), "1");

  v1::GetServerInfoResponse others;
  ASSERT_TRUE(Call(&Stub::GetServerInfo, v1::GetServerInfoRequest(), others, "lab").ok());
  EXPECT_EQ(others.quota().tenant(), "lab");
  EXPECT_FALSE(others.quota().has_max_sessions());
}

TEST_F(RpcTenantTest, ANameThatIsNoneIsRefusedByEveryKindOfCall) {
  const std::string session = NewSessionOf("lab");
  for (const std::string& name : {std::string("a b"), std::string("*"), std::string(65, 'a')}) {
    v1::Session created;
    EXPECT_EQ(ReadFailure(Create("", 60, created, name)).reason, "UNAUTHENTICATED") << name;
    v1::AttachImageResponse attached;
    EXPECT_EQ(ReadFailure(Attach(session, Sha256Hex(bytes_), attached, name)).reason,
              "UNAUTHENTICATED");
    v1::UploadImageResponse uploaded;
    EXPECT_EQ(UploadAs(name, session, bytes_, uploaded).error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
    Context context;
    SetTenant(context, name);
    v1::SegmentRequest click;
    click.set_session_id(session);
    EXPECT_EQ(ReadFailure(Segment(click, context).status).reason, "UNAUTHENTICATED");
  }
  Context twice;
  SetTenant(twice, "lab");
  SetTenant(twice, "other");
  v1::ListSessionsResponse listed;
  EXPECT_EQ(ReadFailure(stub_->ListSessions(&twice, {}, &listed)).reason, "UNAUTHENTICATED");
}

}  // namespace
}  // namespace semsam
