// The whole server but for the network: real pictures, metrics over HTTP, ports,
// drain.
#include "server/app/server_app.h"

#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "model/image/mask_codec.h"
#include "model/image/run_lengths.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"
#include "tests/fakes/fake_segmenter.h"
#include "tests/fakes/model_gate.h"
#include "tests/fakes/temp_dir.h"
#include "tests/server/rpc/health_of.h"

namespace semsam {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A photo of 451 x 300 pixels.
std::string Photo() {
  std::ifstream file(SEMSAM_SOURCE_DIR "/deploy/demo/chelsea.jpg", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void AppendBigEndian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// The start of a PNG file that claims 100,000 x 100,000 pixels. A reader that
// checks sizes first never gets to the checksum.
std::string HugePng() {
  std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  AppendBigEndian(png, 100000);
  AppendBigEndian(png, 100000);
  png.append("\x08\x02\0\0\0", 5);
  AppendBigEndian(png, 0x12345678);
  return png;
}

// The answer to GET /metrics on a loopback port.
std::string Scrape(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
    if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char buffer[4096];
      for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, got);
    }
  }
  close(fd);
  return answer;
}

class ServerAppTest : public ::testing::Test {
 protected:
  // What a warm-up does would be counted, too.
  ServerAppTest() { options_.warm_up = false; }

  void Start(const FakeSegmenterOptions& fake = {}, int devices = 1) {
    options_.rpc.listen = "127.0.0.1:0";
    auto app = ServerApp::Start(options_, FakeModels(fake, devices));
    ASSERT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
    Connect(app_->address());
  }

  void Connect(const std::string& address) {
    channel_ = Channel(address);
    stub_ = v1::SegmentationService::NewStub(channel_);
  }

  static std::shared_ptr<grpc::Channel> Channel(const std::string& address) {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }
  std::shared_ptr<grpc::Channel> AdminChannel() const {
    return Channel("127.0.0.1:" + std::to_string(app_->admin_port()));
  }

  grpc::Status SegmentOnce(const std::string& image, v1::SegmentOnceResponse& response,
                           v1::MaskEncoding encoding = v1::MASK_ENCODING_COCO_RLE) {
    v1::SegmentOnceRequest request;
    request.set_image_bytes(image);
    request.mutable_options()->set_encoding(encoding);
    request.add_prompts()->mutable_click()->set_x(200);
    request.mutable_prompts(0)->mutable_click()->set_y(150);
    grpc::ClientContext context;
    return stub_->SegmentOnce(&context, request, &response);
  }

  // "field reason" of a refusal.
  static std::string FieldAndReason(const grpc::Status& status) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    if (!details.ParseFromString(status.error_details()) || details.details_size() != 2 ||
        !details.details(0).UnpackTo(&info) || !details.details(1).UnpackTo(&bad_request)) {
      return "no details";
    }
    return bad_request.field_violations(0).field() + " " + info.reason();
  }

  static std::string Reason(const grpc::Status& status) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    if (!details.ParseFromString(status.error_details()) || details.details_size() == 0 ||
        !details.details(0).UnpackTo(&info)) {
      return "no details";
    }
    return info.reason();
  }

  ServerOptions options_;
  std::unique_ptr<ServerApp> app_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::SegmentationService::Stub> stub_;
};

TEST_F(ServerAppTest, TenantsAreBoundedAsTheirFileSays) {
  options_.tenants_file = testing::TempDir() + "/tenants";
  std::ofstream(options_.tenants_file) << "* max_sessions=1\n";
  Start();
  const auto create = [this] {
    grpc::ClientContext context;
    v1::CreateSessionResponse response;
    return stub_->CreateSession(&context, {}, &response);
  };
  EXPECT_TRUE(create().ok());
  EXPECT_EQ(create().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ServerAppTest, AFileOfTenantsThatIsWrongIsNamedWithItsLine) {
  options_.tenants_file = testing::TempDir() + "/bad_tenants";
  const auto refusal = [this] {
    const absl::Status status = ServerApp::Start(options_, FakeModels()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  std::ofstream(options_.tenants_file) << "lab\nlab max_wishes=3\n";
  EXPECT_THAT(refusal(), AllOf(HasSubstr("bad_tenants: line 2"), HasSubstr("max_wishes")));
  std::ofstream(options_.tenants_file) << "lab max_queries=1\n";
  EXPECT_THAT(refusal(), HasSubstr("max_queries of lab"));
  std::ofstream(options_.tenants_file) << std::string((4 << 20) + 1, '\n');
  EXPECT_THAT(refusal(), HasSubstr("larger than"));
  options_.tenants_file = testing::TempDir();
  EXPECT_THAT(refusal(), HasSubstr("cannot read"));
  options_.tenants_file = testing::TempDir() + "/no_such_tenants";
  EXPECT_THAT(refusal(), HasSubstr("cannot read"));
}

TEST_F(ServerAppTest, ARealPhotoGetsRealMasksInEveryEncoding) {
  Start();
  v1::SegmentOnceResponse response;
  ASSERT_TRUE(SegmentOnce(Photo(), response).ok());
  ASSERT_EQ(response.masks_size(), 6);
  for (const v1::Mask& mask : response.masks()) {
    const ImageSize size{300, 451};
    EXPECT_EQ(static_cast<int>(mask.size().height()), size.height);
    EXPECT_EQ(static_cast<int>(mask.size().width()), size.width);
    const auto runs = DecodeCocoString(mask.coco_rle(), size);
    ASSERT_TRUE(runs.ok()) << runs.status();
    EXPECT_EQ(static_cast<int64_t>(mask.area()), MaskArea(*runs));
    // The fake draws a disc around the click.
    const double x = mask.box().x() + mask.box().width() / 2.0;
    EXPECT_NEAR(x, 200, 3);
    EXPECT_GT(mask.stability(), 0.5);
  }
  v1::SegmentOnceResponse bits;
  ASSERT_TRUE(SegmentOnce(Photo(), bits, v1::MASK_ENCODING_PACKED_BITS).ok());
  EXPECT_EQ(bits.masks(0).packed_bits().size(), 300 * 57);
  v1::SegmentOnceResponse png;
  ASSERT_TRUE(SegmentOnce(Photo(), png, v1::MASK_ENCODING_PNG).ok());
  EXPECT_EQ(png.masks(0).png().substr(1, 3), "PNG");
  v1::SegmentOnceResponse polygons;
  ASSERT_TRUE(SegmentOnce(Photo(), polygons, v1::MASK_ENCODING_POLYGONS).ok());
  EXPECT_GE(polygons.masks(0).polygons().polygons(0).xy_size(), 6);
  v1::SegmentOnceResponse logits;
  ASSERT_TRUE(SegmentOnce(Photo(), logits, v1::MASK_ENCODING_LOGITS).ok());
  const v1::Mask& grid = logits.masks(0);
  EXPECT_EQ(grid.logits().half_values().size(), grid.size().height() * grid.size().width() * 2);
  EXPECT_EQ(grid.area(), response.masks(0).area());
  // The cells cover the picture, and no cell lies beside it.
  EXPECT_GE(grid.logits().cell_width() * grid.size().width(), 451);
  EXPECT_LT(grid.logits().cell_width() * (grid.size().width() - 1), 451);
}

TEST_F(ServerAppTest, BrokenPicturesAreRefusedAndTheServerLives) {
  Start();
  v1::SegmentOnceResponse response;
  const std::string photo = Photo();
  EXPECT_EQ(FieldAndReason(SegmentOnce(photo.substr(0, photo.size() / 2), response)),
            "image_bytes IMAGE_UNDECODABLE");
  EXPECT_EQ(FieldAndReason(SegmentOnce(HugePng(), response)), "image_bytes IMAGE_TOO_LARGE");
  EXPECT_EQ(FieldAndReason(SegmentOnce("hello", response)), "image_bytes IMAGE_UNDECODABLE");
  const auto line = EncodeMaskPng({.size = {2, 900}, .pixels = std::vector<uint8_t>(1800)});
  EXPECT_EQ(FieldAndReason(SegmentOnce(*line, response)), "image_bytes IMAGE_TOO_LARGE")
      << "too long for its height";
  EXPECT_TRUE(SegmentOnce(photo, response).ok());
}

TEST_F(ServerAppTest, MetricsHaveAPortOfTheirOwn) {
  options_.metrics_listen = "127.0.0.1:0";
  Start();
  v1::SegmentOnceResponse response;
  ASSERT_TRUE(SegmentOnce(Photo(), response).ok());
  const std::string scraped = Scrape(app_->metrics_port());
  EXPECT_THAT(scraped, HasSubstr("semsam_requests_total{code=\"OK\",method=\"SegmentOnce\"} 1"));
  EXPECT_THAT(scraped, HasSubstr("semsam_stage_duration_seconds_count{stage=\"image_decode\"} 1"));
  EXPECT_THAT(scraped, HasSubstr("semsam_stage_duration_seconds_count{stage=\"mask_encode\"} 6"));
  EXPECT_THAT(scraped, HasSubstr("semsam_ready 1"));
}

TEST_F(ServerAppTest, APortThatIsTakenIsAnError) {
  options_.metrics_listen = "127.0.0.1:0";
  Start();
  ServerOptions second;
  second.rpc.listen = app_->address();
  EXPECT_EQ(ServerApp::Start(second, FakeModels()).status().code(), absl::StatusCode::kUnavailable);
  second.rpc.listen = "127.0.0.1:0";
  second.metrics_listen = "127.0.0.1:" + std::to_string(app_->metrics_port());
  EXPECT_EQ(ServerApp::Start(second, FakeModels()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ServerAppTest, AUnixSocketIsServed) {
  const std::string path = ::testing::TempDir() + "semsam_app_test_" + std::to_string(getpid());
  options_.rpc.listen = "unix:" + path;
  auto app = ServerApp::Start(options_, FakeModels());
  ASSERT_TRUE(app.ok()) << app.status();
  EXPECT_EQ((*app)->address(), "unix:" + path);
  EXPECT_EQ((*app)->port(), 0);
  Connect((*app)->address());
  v1::SegmentOnceResponse response;
  EXPECT_TRUE(SegmentOnce(Photo(), response).ok());
}

TEST_F(ServerAppTest, ADrainedServerStops) {
  Start();
  v1::SegmentOnceResponse response;
  ASSERT_TRUE(SegmentOnce(Photo(), response).ok());
  EXPECT_TRUE(app_->Drain().ok());
  EXPECT_EQ(SegmentOnce(Photo(), response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerAppTest, ARestartedServerAnswersFromItsDiskWithoutAnEncode) {
  const TempDir dir;
  options_.engine.tiers.disk_cache_dir = dir.path();
  Start();
  v1::SegmentOnceResponse before;
  ASSERT_TRUE(SegmentOnce(Photo(), before).ok());
  EXPECT_TRUE(app_->Drain().ok());
  app_.reset();
  FakeSegmenterOptions fake;
  fake.on_encode = [] { return absl::InternalError("nothing is encoded"); };
  Start(fake);
  v1::SegmentOnceResponse after;
  const grpc::Status status = SegmentOnce(Photo(), after);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(after.masks_size(), before.masks_size());
  for (int i = 0; i < after.masks_size(); ++i) {
    EXPECT_EQ(after.masks(i).coco_rle(), before.masks(i).coco_rle());
  }
}

TEST_F(ServerAppTest, AWarmUpRunsTheModelWhateverIsOnTheDisk) {
  const TempDir dir;
  options_.engine.tiers.disk_cache_dir = dir.path();
  options_.warm_up = true;
  std::atomic<int> encodes{0};
  FakeSegmenterOptions fake;
  fake.on_encode = [&encodes] {
    ++encodes;
    return absl::OkStatus();
  };
  for (int run = 1; run <= 2; ++run) {
    Start(fake);
    // Comes when the model has run; ctest has a limit.
    while (HealthOf(channel_, "") != "SERVING") {
    }
    EXPECT_EQ(encodes, run);
    EXPECT_TRUE(app_->Drain().ok());
    app_.reset();
  }
  for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
    EXPECT_NE(file.path().extension(), ".embedding") << "of use to nobody";
  }
}

TEST_F(ServerAppTest, ADirectoryOfTheCacheThatCannotBeUsedIsAnErrorAtTheStart) {
  options_.engine.tiers.disk_cache_dir = "/proc/no-such-place";
  const absl::Status status = ServerApp::Start(options_, FakeModels()).status();
  EXPECT_EQ(ErrorField(status), "disk_cache_dir");
}

TEST_F(ServerAppTest, AServerIsReadyOnceItsModelIsWarm) {
  options_.warm_up = true;
  options_.admin.listen = "127.0.0.1:0";
  ModelGate encodes;
  encodes.Shut();
  FakeSegmenterOptions fake;
  fake.on_encode = encodes.Hook();
  Start(fake);
  encodes.WaitForCalls(1);
  for (const auto& channel : {channel_, AdminChannel()}) {
    EXPECT_EQ(HealthOf(channel, ""), "NOT_SERVING");
    EXPECT_EQ(HealthOf(channel, "semsam.live"), "SERVING") << "no reason to kill it";
  }
  encodes.Open();
  // Comes when the model has run; ctest has a limit.
  while (HealthOf(AdminChannel(), "semsam.v1.SegmentationService") != "SERVING") {
  }
  EXPECT_EQ(HealthOf(channel_, ""), "SERVING");
}

TEST_F(ServerAppTest, AModelThatCannotRunIsNeverReady) {
  options_.warm_up = true;
  FakeSegmenterOptions fake;
  fake.on_encode = [] { return absl::InternalError("no device"); };
  Start(fake);
  // The model runs one call after the other: behind the warm-up.
  v1::SegmentOnceResponse response;
  EXPECT_EQ(SegmentOnce(Photo(), response).error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(HealthOf(channel_, ""), "NOT_SERVING");
}

TEST_F(ServerAppTest, EachOfSeveralDevicesIsWarmedUp) {
  options_.warm_up = true;
  options_.metrics_listen = "127.0.0.1:0";
  FakeSegmenterOptions fake;
  std::atomic<int> encodes{0};
  fake.on_encode = [&encodes] {
    ++encodes;
    return absl::OkStatus();
  };
  Start(fake, /*devices=*/3);
  // Comes when all have run; ctest has a limit.
  while (HealthOf(channel_, "") != "SERVING") {
  }
  EXPECT_EQ(encodes, 3);
  v1::GetServerInfoResponse info;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.model().device(), "cpu,cpu,cpu");
  const std::string metrics = Scrape(app_->metrics_port());
  EXPECT_THAT(metrics, HasSubstr("semsam_worker_cache_bytes{worker=\"2\"} 1000\n"));
  EXPECT_THAT(metrics, HasSubstr("semsam_worker_busy_seconds_total{worker=\"0\"}"));
  EXPECT_THAT(metrics, HasSubstr("device=\"cpu,cpu,cpu\""));
}

TEST_F(ServerAppTest, ALostDeviceOfSeveralEndsTheServerOnce) {
  std::atomic<int> told{0};
  FakeSegmenterOptions fake;
  fake.on_decode = [] { return DeviceFault("CUDA error: an illegal memory access"); };
  options_.warm_up = true;  // loses each of them
  options_.rpc.listen = "127.0.0.1:0";
  auto app = ServerApp::Start(options_, FakeModels(fake, 2), [&told] { ++told; });
  ASSERT_TRUE(app.ok()) << app.status();
  app_ = *std::move(app);
  // Comes when a worker has told; ctest has a limit.
  while (app_->fault().ok()) {
  }
  EXPECT_TRUE(app_->Drain().ok());
  EXPECT_TRUE(IsDeviceFault(app_->fault()));
  EXPECT_EQ(told, 1);
}

TEST_F(ServerAppTest, ModelsThatDifferAreRefused) {
  Models models = FakeModels();
  models.push_back(
      std::make_unique<FakeSegmenter>(FakeSegmenterOptions{.digest = std::string(64, 'e')}));
  EXPECT_EQ(ErrorField(ServerApp::Start(options_, std::move(models)).status()), "models");
  EXPECT_EQ(ErrorField(ServerApp::Start(options_, {}).status()), "models");
}

TEST_F(ServerAppTest, AServerWithoutItsDeviceSaysSoAndRefuses) {
  options_.admin.listen = "127.0.0.1:0";
  options_.metrics_listen = "127.0.0.1:0";
  options_.drain_delay = absl::Hours(1);
  options_.drain_grace = absl::Hours(2);
  FakeSegmenterOptions fake;
  fake.on_decode = [] { return DeviceFault("CUDA error: an illegal memory access, see secret"); };
  Start(fake);
  EXPECT_EQ(HealthOf(channel_, ""), "SERVING");
  EXPECT_TRUE(app_->fault().ok());
  v1::SegmentOnceResponse response;
  const grpc::Status lost = SegmentOnce(Photo(), response);
  EXPECT_EQ(lost.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(lost.error_message(), Not(HasSubstr("secret")));
  EXPECT_EQ(Reason(lost), "DEVICE_FAULT");
  // Comes when the worker has told; ctest has a limit.
  while (HealthOf(channel_, "") != "NOT_SERVING") {
  }
  EXPECT_EQ(HealthOf(AdminChannel(), "semsam.live"), "NOT_SERVING") << "a restart helps";
  EXPECT_TRUE(IsDeviceFault(app_->fault()));
  EXPECT_EQ(Reason(SegmentOnce(Photo(), response)), "DEVICE_FAULT");
  EXPECT_THAT(Scrape(app_->metrics_port()),
              AllOf(HasSubstr("semsam_device_faults_total 1\n"), HasSubstr("semsam_ready 0\n")));
  EXPECT_TRUE(app_->Drain().ok()) << "at once: nothing is served meanwhile";
}

TEST_F(ServerAppTest, ThoseWhoRunTheServerHaveAPortOfTheirOwn) {
  options_.admin = {.listen = "127.0.0.1:0", .channelz = true};
  options_.rpc.reflection = false;
  Start();
  const auto admin = AdminChannel();
  const grpc::ByteBuffer empty = SerializeMessage(v1::GetServerInfoRequest());
  const auto ask = [&empty](const std::shared_ptr<grpc::Channel>& channel, const char* method) {
    grpc::ClientContext context;
    return CallWith(channel, context, method, empty).error_code();
  };
  constexpr char kChannelz[] = "/grpc.channelz.v1.Channelz/GetServers";
  EXPECT_EQ(ask(admin, kChannelz), grpc::StatusCode::OK);
  EXPECT_EQ(ask(channel_, kChannelz), grpc::StatusCode::UNIMPLEMENTED) << "not for clients";
  // A call without a question ends well where there is someone to ask.
  constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  EXPECT_NE(ask(admin, kReflection), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(ask(channel_, kReflection), grpc::StatusCode::UNIMPLEMENTED) << "told not to";
  EXPECT_EQ(ask(admin, "/semsam.v1.SegmentationService/GetServerInfo"),
            grpc::StatusCode::UNIMPLEMENTED)
      << "nor calls for those";
  EXPECT_EQ(HealthOf(admin, ""), "SERVING");
}

TEST_F(ServerAppTest, TheAdminPortLivesUntilTheEnd) {
  options_.admin.listen = "127.0.0.1:0";
  Start();
  const auto admin = AdminChannel();
  EXPECT_TRUE(app_->Drain().ok());
  EXPECT_EQ(HealthOf(admin, ""), "NOT_SERVING");
  EXPECT_EQ(HealthOf(admin, "semsam.live"), "SERVING");
}

TEST_F(ServerAppTest, BadOptionsNameTheirField) {
  const ModelConfig config = SwinT();
  EXPECT_TRUE(options_.Validate(config).ok()) << options_.Validate(config);
  struct Case {
    const char* field;
    std::function<void(ServerOptions&)> spoil;
  };
  const Case cases[] = {
      {"listen", [](ServerOptions& o) { o.rpc.listen = "50051"; }},
      {"max_message_bytes", [](ServerOptions& o) { o.rpc.max_message_bytes = 17 << 20; }},
      {"drain_grace", [](ServerOptions& o) { o.drain_grace = -absl::Seconds(1); }},
      {"drain_delay", [](ServerOptions& o) { o.drain_delay = -absl::Seconds(1); }},
      {"drain_delay", [](ServerOptions& o) { o.drain_delay = o.drain_grace + absl::Seconds(1); }},
      {"admin.listen", [](ServerOptions& o) { o.admin.listen = "9000"; }},
      {"admin.channelz", [](ServerOptions& o) { o.admin.channelz = true; }},
      {"tls.key_file", [](ServerOptions& o) { o.rpc.tls.cert_file = "tls.crt"; }},
      {"auth.trust_tenant_metadata",
       [](ServerOptions& o) {
         o.rpc.auth = {.tokens_file = "tokens", .trust_tenant_metadata = true};
       }},
      {"connections.max_age",
       [](ServerOptions& o) { o.rpc.connections.max_age = absl::ZeroDuration(); }},
      {"max_upload_pause", [](ServerOptions& o) { o.rpc.max_upload_pause = absl::ZeroDuration(); }},
      {"log.max_waiting_lines", [](ServerOptions& o) { o.log.max_waiting_lines = 0; }},
      {"exit_margin", [](ServerOptions& o) { o.exit_margin = -absl::Seconds(1); }},
      {"max_chunk_bytes", [](ServerOptions& o) { o.engine.max_chunk_bytes = 4 << 20; }},
      {"image.max_bytes", [](ServerOptions& o) { o.engine.image.max_bytes = 0; }},
      {"max_encode_wait", [](ServerOptions& o) { o.engine.max_encode_wait = -absl::Seconds(1); }},
      {"max_tenant_share", [](ServerOptions& o) { o.engine.max_tenant_share = 0; }},
      {"host_cache_bytes", [](ServerOptions& o) { o.engine.tiers.host_cache_bytes = -1; }},
      {"disk_cache_bytes",
       [](ServerOptions& o) {
         o.engine.tiers.disk_cache_dir = "cache";
         o.engine.tiers.disk_cache_bytes = 0;
       }},
      {"max_demotion_bytes", [](ServerOptions& o) { o.engine.tiers.max_demotion_bytes = 0; }},
      {"max_deadline", [](ServerOptions& o) { o.engine.max_deadline = absl::Seconds(1); }},
      {"sessions.max_age", [](ServerOptions& o) { o.engine.sessions.max_age = absl::Seconds(1); }},
  };
  for (const Case& test : cases) {
    ServerOptions options;
    test.spoil(options);
    EXPECT_EQ(ErrorField(options.Validate(config)), test.field);
  }
}

}  // namespace
}  // namespace semsam
