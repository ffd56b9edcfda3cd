// A SegmentationService that does what a test says, in this process, on a
// loopback port of its own.
//
// Left alone it behaves: it keeps sessions and images, and answers every click
// with a square and every box with itself, one mask a level. Words it likes in
// their order: the first word of a list is the surest label, and every word has
// a region. Everything is three nested squares. A test replaces a whole call by
// its hook. Hooks run on gRPC's threads.
#ifndef SEMSAM_TESTS_CLIENT_SCRIPTED_SERVER_H_
#define SEMSAM_TESTS_CLIENT_SCRIPTED_SERVER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "model/base/mutex.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam::client {

// What one upload brought.
struct UploadRecord {
  v1::UploadImageHeader header;
  std::vector<size_t> chunk_bytes;
  std::string bytes;
};

class ScriptedService final : public v1::SegmentationService::Service {
 public:
  using SegmentWriter = grpc::ServerWriter<v1::SegmentResponse>;
  using VocabularyWriter = grpc::ServerWriter<v1::SegmentVocabularyResponse>;
  using GenerateWriter = grpc::ServerWriter<v1::GenerateMasksResponse>;
  using InteractPeer = grpc::ServerReaderWriter<v1::InteractResponse, v1::InteractRequest>;

  ScriptedService();

  // Set before the first call.
  v1::GetServerInfoResponse info;
  v1::ImageSize image_size;            // of every upload
  std::string panoptic_png = "a PNG";  // what SegmentVocabulary answers

  // Says that the model knows words.
  void KnowWords();

  // Replace a call, or its start, from the next one on. Calls that already run
  // keep their hook, so it must own what it uses.
  using AttachHook = std::function<grpc::Status(const v1::AttachImageRequest&)>;
  using SegmentHook =
      std::function<grpc::Status(grpc::ServerContext&, const v1::SegmentRequest&, SegmentWriter&)>;
  using UploadHook = std::function<grpc::Status(const v1::UploadImageHeader&)>;
  using VocabularyHook = std::function<grpc::Status(
      grpc::ServerContext&, const v1::SegmentVocabularyRequest&, VocabularyWriter&)>;
  using GenerateHook = std::function<grpc::Status(
      grpc::ServerContext&, const v1::GenerateMasksRequest&, GenerateWriter&)>;
  using RefreshHook =
      std::function<grpc::Status(const v1::RefreshLabelsRequest&, v1::RefreshLabelsResponse&)>;
  using InteractHook = std::function<grpc::Status(grpc::ServerContext&, InteractPeer&)>;
  void OnSegment(SegmentHook hook);
  void OnVocabulary(VocabularyHook hook);
  void OnGenerate(GenerateHook hook);
  void OnRefresh(RefreshHook hook);
  void OnInteract(InteractHook hook);
  // Called with the header, before any chunk is read.
  void OnUploadHeader(UploadHook hook);
  // Instead of looking for the image; what it returns ends the call unless it is OK.
  void OnAttach(AttachHook hook);

  std::vector<UploadRecord> uploads() const;
  std::vector<v1::CreateSessionRequest> create_requests() const;
  std::vector<v1::DeleteSessionRequest> delete_requests() const;
  std::vector<v1::AttachImageRequest> attach_requests() const;
  std::vector<v1::ListSessionsRequest> list_requests() const;
  std::vector<v1::SegmentRequest> segment_requests() const;
  std::vector<v1::SegmentOnceRequest> once_requests() const;
  std::vector<v1::RefreshLabelsRequest> refresh_requests() const;
  std::vector<v1::SegmentVocabularyRequest> vocabulary_requests() const;
  std::vector<v1::GenerateMasksRequest> generate_requests() const;
  // Of the latest call.
  std::multimap<std::string, std::string> metadata() const;
  size_t open_sessions() const;
  // As an eviction does: its id answers NOT_FOUND from here on.
  void ForgetImages();

  grpc::Status GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                             v1::GetServerInfoResponse* response) override;
  grpc::Status CreateSession(grpc::ServerContext* context, const v1::CreateSessionRequest* request,
                             v1::CreateSessionResponse* response) override;
  grpc::Status GetSession(grpc::ServerContext* context, const v1::GetSessionRequest* request,
                          v1::GetSessionResponse* response) override;
  grpc::Status DeleteSession(grpc::ServerContext* context, const v1::DeleteSessionRequest* request,
                             v1::DeleteSessionResponse* response) override;
  grpc::Status RenewSession(grpc::ServerContext* context, const v1::RenewSessionRequest* request,
                            v1::RenewSessionResponse* response) override;
  // Two a page; the token is the first id of the next one.
  grpc::Status ListSessions(grpc::ServerContext* context, const v1::ListSessionsRequest* request,
                            v1::ListSessionsResponse* response) override;
  grpc::Status AttachImage(grpc::ServerContext* context, const v1::AttachImageRequest* request,
                           v1::AttachImageResponse* response) override;
  grpc::Status UploadImage(grpc::ServerContext* context,
                           grpc::ServerReader<v1::UploadImageRequest>* reader,
                           v1::UploadImageResponse* response) override;
  grpc::Status Segment(grpc::ServerContext* context, const v1::SegmentRequest* request,
                       SegmentWriter* writer) override;
  grpc::Status SegmentOnce(grpc::ServerContext* context, const v1::SegmentOnceRequest* request,
                           v1::SegmentOnceResponse* response) override;
  grpc::Status RefreshLabels(grpc::ServerContext* context, const v1::RefreshLabelsRequest* request,
                             v1::RefreshLabelsResponse* response) override;
  grpc::Status SegmentVocabulary(grpc::ServerContext* context,
                                 const v1::SegmentVocabularyRequest* request,
                                 VocabularyWriter* writer) override;
  grpc::Status GenerateMasks(grpc::ServerContext* context, const v1::GenerateMasksRequest* request,
                             GenerateWriter* writer) override;
  grpc::Status Interact(grpc::ServerContext* context, InteractPeer* peer) override;

 private:
  v1::Image AddImage(v1::Session& session, const std::string& sha256)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  grpc::Status FindImage(const std::string& session_id, const std::string& image_id) const;
  void Answer(const google::protobuf::RepeatedPtrField<v1::Prompt>& prompts,
              const v1::SegmentOptions& options, std::vector<v1::Mask>& masks,
              v1::SegmentSummary& summary) const;
  // FAILED_PRECONDITION for words that the model does not know.
  grpc::Status CheckLabels(const v1::LabelOptions& labels) const;
  // Names `mask` and remembers it.
  void Label(const v1::LabelOptions& labels, v1::Mask& mask);

  mutable Mutex mutex_;
  SegmentHook on_segment_ ABSL_GUARDED_BY(mutex_);
  VocabularyHook on_vocabulary_ ABSL_GUARDED_BY(mutex_);
  GenerateHook on_generate_ ABSL_GUARDED_BY(mutex_);
  RefreshHook on_refresh_ ABSL_GUARDED_BY(mutex_);
  InteractHook on_interact_ ABSL_GUARDED_BY(mutex_);
  UploadHook on_upload_header_ ABSL_GUARDED_BY(mutex_);
  AttachHook on_attach_ ABSL_GUARDED_BY(mutex_);
  int next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::string, v1::Session> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> lost_images_ ABSL_GUARDED_BY(mutex_);  // id -> sha256
  std::vector<UploadRecord> uploads_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::CreateSessionRequest> create_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::DeleteSessionRequest> delete_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::AttachImageRequest> attach_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ListSessionsRequest> list_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::SegmentRequest> segment_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::SegmentOnceRequest> once_requests_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_mask_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::RefreshLabelsRequest> refresh_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::SegmentVocabularyRequest> vocabulary_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::GenerateMasksRequest> generate_requests_ ABSL_GUARDED_BY(mutex_);
  std::multimap<std::string, std::string> metadata_ ABSL_GUARDED_BY(mutex_);
};

// Serves until it is destroyed; calls still running then are cancelled.
class ScriptedServer {
 public:
  struct Options {
    // Plain text if null.
    std::shared_ptr<grpc::ServerCredentials> credentials;
    int port = 0;                   // 0: any free one
    bool with_segmentation = true;  // false: a gRPC server of some other kind
  };

  ScriptedServer() : ScriptedServer(Options{}) {}
  explicit ScriptedServer(const Options& options);
  ~ScriptedServer();

  ScriptedService& service() { return service_; }
  grpc::Server& server() { return *server_; }
  std::string address() const;
  int port() const { return port_; }

 private:
  ScriptedService service_;
  grpc::CallbackGenericService other_service_;  // answers UNIMPLEMENTED to every call
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// An error as the real server sends it.
struct ErrorSpec {
  grpc::StatusCode code;
  std::string message;
  std::string reason;
  std::string field;       // empty: no BadRequest
  std::string sha256;      // empty: none in ErrorInfo
  int retry_after_ms = 0;  // 0: no RetryInfo
};
grpc::Status MakeError(const ErrorSpec& spec);

// COCO run lengths of a filled rectangle, compressed.
std::string RectangleRle(int height, int width, const v1::PixelBox& box);

}  // namespace semsam::client

#endif  // SEMSAM_TESTS_CLIENT_SCRIPTED_SERVER_H_
