// A connected client and the server it talks to, for the tests of Client.
#ifndef SEMSAM_TESTS_CLIENT_CLIENT_FIXTURE_H_
#define SEMSAM_TESTS_CLIENT_CLIENT_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "tests/client/scripted_server.h"

namespace semsam::client {

inline std::unique_ptr<Client> ConnectTo(const ScriptedServer& server, ClientOptions options = {}) {
  options.target = server.address();
  auto client = Client::Connect(std::move(options));
  EXPECT_TRUE(client.ok()) << client.status();
  return client.ok() ? *std::move(client) : nullptr;
}

// A connected client with a session that holds one image.
class ClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client_ = ConnectTo(server_);
    ASSERT_NE(client_, nullptr);
    const auto session = client_->CreateSession();
    ASSERT_TRUE(session.ok()) << session.status();
    request_.session_id = session->session_id;
    const auto upload = client_->UploadImage(request_.session_id, *image_);
    ASSERT_TRUE(upload.ok()) << upload.status();
    request_.image_id = upload->image.image_id;
    request_.prompts = {{.shape = Click{30, 20}, .tag = "first"}};
  }

  // Runs request_, keeps the masks.
  absl::StatusOr<SegmentSummary> Segment(const CallOptions& call = {}) {
    return client_->Segment(
        request_,
        [this](Mask mask) {
          masks_.push_back(std::move(mask));
          return true;
        },
        call);
  }

  // Answers the next calls with `messages`, then `status`.
  void Script(const std::vector<v1::SegmentResponse>& messages,
              const grpc::Status& status = grpc::Status::OK) {
    server_.service().OnSegment([messages, status](auto&, const auto&, auto& writer) {
      for (const auto& message : messages) writer.Write(message);
      return status;
    });
  }

  ScriptedServer server_;
  std::unique_ptr<Client> client_;
  const std::shared_ptr<const std::string> image_ =
      std::make_shared<const std::string>("the bytes of an image");
  SegmentRequest request_;
  std::vector<Mask> masks_;
};

inline v1::SegmentResponse MaskMessage(uint32_t prompt = 0) {
  v1::SegmentResponse response;
  response.mutable_mask()->set_prompt_index(prompt);
  response.mutable_mask()->set_level(1);
  response.mutable_mask()->mutable_size()->set_height(2);
  response.mutable_mask()->mutable_size()->set_width(2);
  response.mutable_mask()->set_coco_rle("112");
  return response;
}

inline v1::SegmentResponse SummaryMessage(uint32_t masks_sent) {
  v1::SegmentResponse response;
  response.mutable_summary()->set_masks_sent(masks_sent);
  return response;
}

}  // namespace semsam::client

#endif  // SEMSAM_TESTS_CLIENT_CLIENT_FIXTURE_H_
