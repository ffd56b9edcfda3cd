// The bearer token of a client, from a file that may change. Internal to the client: not
// installed.
#ifndef SEMSAM_CLIENT_TOKEN_FILE_H_
#define SEMSAM_CLIENT_TOKEN_FILE_H_

#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "grpcpp/support/client_interceptor.h"

namespace semsam::client {

// Thread-safe.
class TokenFile {
 public:
  // INVALID_ARGUMENT (token_file) if it cannot be read or holds no token: one line of
  // printable ASCII.
  static absl::StatusOr<std::shared_ptr<TokenFile>> Open(const std::string& path);

  // "Bearer TOKEN". Read again when the file changed; a change that cannot be used
  // leaves the token as it was.
  std::string Authorization();

 private:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  absl::StatusOr<std::string> Read() const;

  const std::string path_;
  std::mutex mutex_;
  struct stat seen_ = {};  // of what token_ was read from
  std::string token_;
};

// Makes every call of a channel carry the token.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> SendToken(
    std::shared_ptr<TokenFile> file);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_TOKEN_FILE_H_
