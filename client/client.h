// Typed calls to a Semsam server.
//
// Connect, open a session, upload once, then click as often as you like:
//
//   auto client = semsam::client::Client::Connect({.target = "localhost:50051"});
//   if (!client.ok()) return client.status();
//   auto session = (*client)->CreateSession();
//   auto upload = (*client)->UploadImage(session->session_id, jpeg_bytes);
//   auto summary = (*client)->Segment(
//       {.session_id = session->session_id, .image_id = upload->image.image_id,
//        .prompts = {{.shape = semsam::client::Click{320.5f, 240.5f}}}},
//       [](semsam::client::Mask mask) { ...; return true; });
//
// - Every call blocks until its answer, its deadline or its cancellation.
// - Errors are values. A server's error keeps its code, its text and its
//   details (client/errors.h). The client's own: INVALID_ARGUMENT for options,
//   UNAVAILABLE when no server answers, DEADLINE_EXCEEDED, CANCELLED, DATA_LOSS
//   for an answer that breaks the protocol.
// - Nothing is repeated behind the caller's back, except where ClientOptions::retry or
//   a request's recovery_image asks for it, and then only before its first result. What
//   the transport repeats does no harm: requests that change something carry an id.
// - Thread-safe: any number of threads may call one Client at the same time.
//   The Client must outlive its calls. Callbacks run on the calling thread,
//   without locks held; they may call the Client, and must not throw.
#ifndef SEMSAM_CLIENT_CLIENT_H_
#define SEMSAM_CLIENT_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/errors.h"       // IWYU pragma: export
#include "client/interact.h"     // IWYU pragma: export
#include "client/mask_codec.h"   // IWYU pragma: export
#include "client/scene_types.h"  // IWYU pragma: export
#include "client/types.h"        // IWYU pragma: export

namespace semsam::client {

// Calls that the server refused for now (UNAVAILABLE, RESOURCE_EXHAUSTED), made again
// within their timeout: after the pause that the server asks for, else after one that
// doubles, and never where the server says that it cannot help. Not the streams of
// Interact: their caller opens another. An upload begins anew, with its progress.
struct RetryOptions {
  int max_attempts = 1;  // the first included; 5 at most
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);
};

struct ClientOptions {
  std::string target;  // "host:port", or any name that gRPC resolves

  bool tls = false;
  std::string ca_file;          // PEM; empty takes the system's authorities
  std::string tls_server_name;  // empty: the host in `target`
  // PEM: what this client shows to a server that wants to know it (mTLS); both or none.
  std::string cert_file;
  std::string key_file;
  // A file with the bearer token that every call carries; read again when it changes.
  // Without TLS whoever is on the way can read the token.
  std::string token_file;

  // How long Connect may take. Zero: Connect asks the server nothing, and an
  // unreachable one shows at the first call.
  absl::Duration connect_timeout = absl::Seconds(5);
  // While connecting, also wait for a server that does not listen yet.
  bool wait_for_server = false;

  // For calls that name no timeout of their own.
  absl::Duration default_timeout = absl::Seconds(30);
  // The same for uploads, which include the encoder's run.
  absl::Duration default_upload_timeout = absl::Minutes(2);
  // The same for calls with words, which may all be new to the server, and for
  // GenerateMasks.
  absl::Duration default_long_timeout = absl::Minutes(10);

  // Before an upload of more than one chunk, ask whether the server still holds the
  // image, and send nothing if it does.
  bool attach_images = true;
  RetryOptions retry;
  // While a call runs, a server that is silent for so long is pinged, and given up if it
  // does not answer. GetServerInfo tells how often it lets itself be pinged. Infinite:
  // never.
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);

  size_t chunk_bytes = 256 << 10;       // of an upload; the limit that GetServerInfo told wins
  size_t max_message_bytes = 64 << 20;  // answers above are RESOURCE_EXHAUSTED
  // Sent with every call, e.g. {"authorization", "Bearer ..."}; lower-case keys.
  std::vector<std::pair<std::string, std::string>> metadata;

  // OK, or INVALID_ARGUMENT that names the member.
  absl::Status Validate() const;
};

// Hears how far a long call is, on the calling thread. End the call by the stop
// token.
using ProgressCallback = std::function<void(const Progress& progress)>;

struct CallOptions {
  // Bounds the whole call, recovery included. Zero takes the client's default.
  absl::Duration timeout = absl::ZeroDuration();
  // A stop request from any thread ends the call with CANCELLED.
  std::stop_token stop;
  // Of calls whose answer is a stream; may be null.
  ProgressCallback on_progress = nullptr;
};

// Bytes handed to the transport so far, of how many.
using UploadProgress = std::function<void(size_t sent_bytes, size_t total_bytes)>;

// Gets each mask as it arrives. Returning false cancels the rest of the call,
// which then returns CANCELLED.
using MaskCallback = std::function<bool(Mask mask)>;
using SegmentCallback = std::function<bool(VocabularySegment segment)>;

class Client {
 public:
  // Checks the options and, unless connect_timeout is zero, that a Semsam
  // server answers.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(ClientOptions options);
  ~Client();

  absl::StatusOr<ServerInfo> GetServerInfo(const CallOptions& call = {});

  // grpc.health.v1 of the segmentation service; UNKNOWN if the server keeps no
  // such record.
  absl::StatusOr<HealthStatus> CheckHealth(const CallOptions& call = {});

  // A zero ttl takes the server's default.
  absl::StatusOr<Session> CreateSession(absl::Duration ttl = absl::ZeroDuration(),
                                        const CallOptions& call = {});
  absl::StatusOr<Session> GetSession(const std::string& session_id, const CallOptions& call = {});
  // Renews the lease; a ttl other than zero is the session's from now on.
  absl::StatusOr<Session> RenewSession(const std::string& session_id,
                                       absl::Duration ttl = absl::ZeroDuration(),
                                       const CallOptions& call = {});
  // A page of the sessions of the caller's tenant. FAILED_PRECONDITION where the server
  // tells no tenants apart.
  absl::StatusOr<SessionPage> ListSessions(const ListSessionsRequest& request = {},
                                           const CallOptions& call = {});
  absl::Status DeleteSession(const std::string& session_id, const CallOptions& call = {});

  // Puts an image into the session that the server still holds, by the SHA-256 (hex) of
  // its bytes. NOT_FOUND (reason IMAGE_NOT_FOUND): it has to be uploaded.
  absl::StatusOr<UploadResult> AttachImage(const std::string& session_id, const std::string& sha256,
                                           const CallOptions& call = {});

  // Streams the encoded image (JPEG, PNG, WebP, BMP, TIFF) in chunks, with its
  // length and SHA-256 up front. Returns once the server has encoded it. Where the
  // server still holds the image nothing is sent, see ClientOptions::attach_images.
  absl::StatusOr<UploadResult> UploadImage(const std::string& session_id,
                                           std::string_view image_bytes,
                                           const UploadProgress& progress = nullptr,
                                           const CallOptions& call = {});

  // Streams masks to `on_mask` as they are ready.
  absl::StatusOr<SegmentSummary> Segment(const SegmentRequest& request, const MaskCallback& on_mask,
                                         const CallOptions& call = {});

  // Opens a stream of clicks. A timeout in `call` bounds the whole stream; without one
  // it lasts until it is finished or the server ends it.
  absl::StatusOr<std::unique_ptr<InteractStream>> Interact(const InteractStart& start,
                                                           InteractEvents events,
                                                           const CallOptions& call = {});

  // All masks in one answer; needs no session when the image comes inline.
  absl::StatusOr<SegmentOnceResult> SegmentOnce(const SegmentOnceRequest& request,
                                                const CallOptions& call = {});

  // Other words for masks of this session, without another run of the decoder.
  // NOT_FOUND names the first mask that the server no longer holds.
  absl::StatusOr<RefreshLabelsResult> RefreshLabels(const RefreshLabelsRequest& request,
                                                    const CallOptions& call = {});

  // Every region of the image that the words name, streamed to `on_segment` by
  // falling score; null collects them in the result. The panoptic map is in the
  // result either way.
  absl::StatusOr<SegmentVocabularyResult> SegmentVocabulary(
      const SegmentVocabularyRequest& request, const SegmentCallback& on_segment = nullptr,
      const CallOptions& call = {});

  // Everything in the image, streamed to `on_mask` by falling predicted IoU; null
  // collects the masks in the result, which also says what contains what.
  absl::StatusOr<GenerateMasksResult> GenerateMasks(const GenerateMasksRequest& request,
                                                    const MaskCallback& on_mask = nullptr,
                                                    const CallOptions& call = {});

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLIENT_H_
