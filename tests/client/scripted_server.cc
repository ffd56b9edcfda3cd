#include "tests/client/scripted_server.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace semsam::client {
namespace {

constexpr int kLevels = 6;

// The area that a prompt stands for, at `level`: deeper is smaller.
v1::PixelBox PromptBox(const v1::Prompt& prompt, uint32_t level, const v1::ImageSize& size) {
  const bool relative = prompt.frame() == v1::COORDINATE_FRAME_NORMALIZED;
  const float scale_x = relative ? size.width() : 1.0f;
  const float scale_y = relative ? size.height() : 1.0f;
  float x0, y0, x1, y1;
  if (prompt.has_box()) {
    x0 = prompt.box().x0() * scale_x;
    y0 = prompt.box().y0() * scale_y;
    x1 = prompt.box().x1() * scale_x;
    y1 = prompt.box().y1() * scale_y;
  } else {
    const float radius = std::min(size.height(), size.width()) / (2.0f + level);
    x0 = prompt.click().x() * scale_x - radius;
    y0 = prompt.click().y() * scale_y - radius;
    x1 = x0 + 2 * radius;
    y1 = y0 + 2 * radius;
  }
  const auto clamp = [](float value, uint32_t limit) {
    return static_cast<uint32_t>(std::clamp(value, 0.0f, static_cast<float>(limit)));
  };
  v1::PixelBox box;
  box.set_x(clamp(x0, size.width()));
  box.set_y(clamp(y0, size.height()));
  box.set_width(clamp(x1, size.width()) - box.x());
  box.set_height(clamp(y1, size.height()) - box.y());
  return box;
}

// Difference to the count two before, in base 32 with a continuation and a sign
// bit: what pycocotools writes.
std::string CompressCounts(const std::vector<int64_t>& counts) {
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i) {
    int64_t value = i > 2 ? counts[i] - counts[i - 2] : counts[i];
    for (bool more = true; more;) {
      int64_t chunk = value & 0x1f;
      value >>= 5;
      more = (chunk & 0x10) != 0 ? value != -1 : value != 0;
      if (more) chunk |= 0x20;
      text.push_back(static_cast<char>(chunk + '0'));
    }
  }
  return text;
}

}  // namespace

std::string RectangleRle(int height, int width, const v1::PixelBox& box) {
  std::vector<int64_t> counts;
  int64_t zeros = int64_t{height} * box.x() + box.y();
  for (uint32_t x = 0; x < box.width() && box.height() > 0; ++x) {
    if (zeros == 0 && !counts.empty()) {
      counts.back() += box.height();  // full columns touch
    } else {
      counts.push_back(zeros);
      counts.push_back(box.height());
    }
    zeros = int64_t{height} - box.height();
  }
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  if (total < int64_t{height} * width) counts.push_back(int64_t{height} * width - total);
  return CompressCounts(counts);
}

grpc::Status MakeError(const ErrorSpec& spec) {
  google::rpc::Status status;
  status.set_code(spec.code);
  status.set_message(spec.message);
  google::rpc::ErrorInfo info;
  info.set_domain("semsam");
  info.set_reason(spec.reason);
  if (!spec.sha256.empty()) (*info.mutable_metadata())["sha256"] = spec.sha256;
  status.add_details()->PackFrom(info);
  if (!spec.field.empty()) {
    google::rpc::BadRequest bad;
    bad.add_field_violations()->set_field(spec.field);
    status.add_details()->PackFrom(bad);
  }
  if (spec.retry_after_ms > 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(spec.retry_after_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(spec.retry_after_ms % 1000 * 1'000'000);
    status.add_details()->PackFrom(retry);
  }
  return {spec.code, spec.message, status.SerializeAsString()};
}

ScriptedService::ScriptedService() {
  info.set_server_version("9.8.7");
  info.mutable_model()->set_name("scripted");
  info.mutable_model()->set_digest("d1");
  info.mutable_model()->set_device("cpu");
  info.mutable_model()->set_trained(true);
  info.mutable_model()->mutable_capabilities()->set_click_prompts(true);
  info.mutable_model()->mutable_capabilities()->set_box_prompts(true);
  for (int level = 1; level <= kLevels; ++level) {
    auto* message = info.mutable_model()->add_levels();
    message->set_level(level);
    message->set_name(level < 3 ? "semantic" : level == 3 ? "instance" : "part");
  }
  info.mutable_limits()->set_max_image_bytes(64 << 20);
  info.mutable_limits()->set_max_chunk_bytes(256 << 10);
  image_size.set_height(48);
  image_size.set_width(64);
}

void ScriptedService::OnSegment(SegmentHook hook) {
  MutexLock lock(mutex_);
  on_segment_ = std::move(hook);
}

void ScriptedService::OnUploadHeader(UploadHook hook) {
  MutexLock lock(mutex_);
  on_upload_header_ = std::move(hook);
}

std::vector<UploadRecord> ScriptedService::uploads() const {
  MutexLock lock(mutex_);
  return uploads_;
}

std::vector<v1::SegmentRequest> ScriptedService::segment_requests() const {
  MutexLock lock(mutex_);
  return segment_requests_;
}

std::vector<v1::SegmentOnceRequest> ScriptedService::once_requests() const {
  MutexLock lock(mutex_);
  return once_requests_;
}

std::multimap<std::string, std::string> ScriptedService::metadata() const {
  MutexLock lock(mutex_);
  return metadata_;
}

size_t ScriptedService::open_sessions() const {
  MutexLock lock(mutex_);
  return sessions_.size();
}

void ScriptedService::ForgetImages() {
  MutexLock lock(mutex_);
  for (auto& [id, session] : sessions_) {
    for (const v1::Image& image : session.images()) {
      lost_images_[image.image_id()] = image.sha256();
    }
    session.clear_images();
  }
}

grpc::Status ScriptedService::GetServerInfo(grpc::ServerContext* context,
                                            const v1::GetServerInfoRequest*,
                                            v1::GetServerInfoResponse* response) {
  MutexLock lock(mutex_);
  metadata_.clear();
  for (const auto& [key, value] : context->client_metadata()) {
    metadata_.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  *response = info;
  return grpc::Status::OK;
}

grpc::Status ScriptedService::CreateSession(grpc::ServerContext*,
                                            const v1::CreateSessionRequest* request,
                                            v1::CreateSessionResponse* response) {
  MutexLock lock(mutex_);
  create_requests_.push_back(*request);
  v1::Session& session = *response->mutable_session();
  session.set_session_id(absl::StrCat("session-", next_id_++));
  session.mutable_create_time()->set_seconds(1'000);
  session.mutable_expire_time()->set_seconds(1'000 + request->ttl().seconds());
  *session.mutable_ttl() = request->ttl();
  sessions_[session.session_id()] = session;
  return grpc::Status::OK;
}

grpc::Status ScriptedService::GetSession(grpc::ServerContext*, const v1::GetSessionRequest* request,
                                         v1::GetSessionResponse* response) {
  MutexLock lock(mutex_);
  const auto session = sessions_.find(request->session_id());
  if (session == sessions_.end()) {
    return MakeError({.code = grpc::StatusCode::NOT_FOUND, .reason = "SESSION_NOT_FOUND"});
  }
  *response->mutable_session() = session->second;
  return grpc::Status::OK;
}

grpc::Status ScriptedService::DeleteSession(grpc::ServerContext*,
                                            const v1::DeleteSessionRequest* request,
                                            v1::DeleteSessionResponse*) {
  MutexLock lock(mutex_);
  delete_requests_.push_back(*request);
  if (sessions_.erase(request->session_id()) == 1) return grpc::Status::OK;
  return MakeError({.code = grpc::StatusCode::NOT_FOUND, .reason = "SESSION_NOT_FOUND"});
}

v1::Image ScriptedService::AddImage(v1::Session& session, const std::string& sha256) {
  v1::Image& image = *session.add_images();
  image.set_image_id(absl::StrCat("image-", next_id_++));
  image.set_sha256(sha256);
  *image.mutable_size() = image_size;
  return image;
}

grpc::Status ScriptedService::UploadImage(grpc::ServerContext*,
                                          grpc::ServerReader<v1::UploadImageRequest>* reader,
                                          v1::UploadImageResponse* response) {
  UploadRecord record;
  v1::UploadImageRequest message;
  if (reader->Read(&message)) record.header = message.header();
  UploadHook hook;
  {
    MutexLock lock(mutex_);
    hook = on_upload_header_;
  }
  if (hook) {
    if (grpc::Status status = hook(record.header); !status.ok()) return status;
  }
  while (reader->Read(&message)) {
    record.chunk_bytes.push_back(message.chunk().size());
    record.bytes += message.chunk();
  }
  MutexLock lock(mutex_);
  uploads_.push_back(record);
  const auto session = sessions_.find(record.header.session_id());
  if (session == sessions_.end()) {
    return MakeError({.code = grpc::StatusCode::NOT_FOUND,
                      .message = "no such session",
                      .reason = "SESSION_NOT_FOUND"});
  }
  *response->mutable_image() = AddImage(session->second, record.header.sha256());
  response->mutable_timings()->mutable_encode()->set_nanos(7'000'000);
  return grpc::Status::OK;
}

grpc::Status ScriptedService::FindImage(const std::string& session_id,
                                        const std::string& image_id) const {
  MutexLock lock(mutex_);
  const auto session = sessions_.find(session_id);
  if (session == sessions_.end()) {
    return MakeError({.code = grpc::StatusCode::NOT_FOUND,
                      .message = "no such session",
                      .reason = "SESSION_NOT_FOUND"});
  }
  for (const v1::Image& image : session->second.images()) {
    if (image.image_id() == image_id) return grpc::Status::OK;
  }
  const auto lost = lost_images_.find(image_id);
  return MakeError({.code = grpc::StatusCode::NOT_FOUND,
                    .message = "image is gone",
                    .reason = "IMAGE_NOT_FOUND",
                    .sha256 = lost == lost_images_.end() ? "" : lost->second});
}

void ScriptedService::Answer(const google::protobuf::RepeatedPtrField<v1::Prompt>& prompts,
                             const v1::SegmentOptions& options, std::vector<v1::Mask>& masks,
                             v1::SegmentSummary& summary) const {
  std::vector<uint32_t> levels(options.levels().begin(), options.levels().end());
  if (levels.empty()) levels = {1, 2, 3, 4, 5, 6};
  for (int i = 0; i < prompts.size(); ++i) {
    for (const uint32_t level : levels) {
      v1::Mask mask;
      mask.set_prompt_index(i);
      mask.set_prompt_tag(prompts[i].tag());
      mask.set_level(level);
      mask.set_predicted_iou(0.9f - 0.01f * level);
      mask.set_stability(0.95f);
      *mask.mutable_size() = image_size;
      *mask.mutable_box() = PromptBox(prompts[i], level, image_size);
      mask.set_area(uint64_t{mask.box().width()} * mask.box().height());
      mask.set_coco_rle(RectangleRle(image_size.height(), image_size.width(), mask.box()));
      if (options.has_min_predicted_iou() && mask.predicted_iou() < options.min_predicted_iou()) {
        summary.set_masks_filtered(summary.masks_filtered() + 1);
      } else {
        masks.push_back(mask);
      }
    }
  }
  summary.set_masks_sent(static_cast<uint32_t>(masks.size()));
  *summary.mutable_image_size() = image_size;
  summary.mutable_timings()->mutable_decode()->set_nanos(3'000'000);
}

grpc::Status ScriptedService::Segment(grpc::ServerContext* context,
                                      const v1::SegmentRequest* request, SegmentWriter* writer) {
  SegmentHook hook;
  {
    MutexLock lock(mutex_);
    segment_requests_.push_back(*request);
    hook = on_segment_;
  }
  if (hook) return hook(*context, *request, *writer);
  if (grpc::Status status = FindImage(request->session_id(), request->image_id()); !status.ok()) {
    return status;
  }
  if (grpc::Status status = CheckLabels(request->labels()); !status.ok()) return status;
  std::vector<v1::Mask> masks;
  v1::SegmentResponse last;
  Answer(request->prompts(), request->options(), masks, *last.mutable_summary());
  for (v1::Mask& mask : masks) {
    Label(request->labels(), mask);
    v1::SegmentResponse response;
    *response.mutable_mask() = std::move(mask);
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
  }
  writer->Write(last);
  return grpc::Status::OK;
}

grpc::Status ScriptedService::SegmentOnce(grpc::ServerContext*,
                                          const v1::SegmentOnceRequest* request,
                                          v1::SegmentOnceResponse* response) {
  {
    MutexLock lock(mutex_);
    once_requests_.push_back(*request);
  }
  if (request->has_reference()) {
    const auto& reference = request->reference();
    grpc::Status status = FindImage(reference.session_id(), reference.image_id());
    if (!status.ok()) return status;
  }
  if (grpc::Status status = CheckLabels(request->labels()); !status.ok()) return status;
  std::vector<v1::Mask> masks;
  Answer(request->prompts(), request->options(), masks, *response->mutable_summary());
  for (v1::Mask& mask : masks) {
    Label(request->labels(), mask);
    *response->add_masks() = std::move(mask);
  }
  return grpc::Status::OK;
}

ScriptedServer::ScriptedServer(const Options& options) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(
      absl::StrCat("127.0.0.1:", options.port),
      options.credentials != nullptr ? options.credentials : grpc::InsecureServerCredentials(),
      &port_);
  if (options.with_segmentation) {
    builder.RegisterService(&service_);
  } else {
    builder.RegisterCallbackGenericService(&other_service_);
  }
  server_ = builder.BuildAndStart();
}

ScriptedServer::~ScriptedServer() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

std::string ScriptedServer::address() const { return absl::StrCat("127.0.0.1:", port_); }

}  // namespace semsam::client
