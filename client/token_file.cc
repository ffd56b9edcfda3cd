#include "client/token_file.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/status_details.h"

namespace semsam::client {
namespace {

constexpr char kField[] = "token_file";
constexpr std::streamsize kMaxTokenBytes = 8192;

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(std::string authorization) : authorization_(std::move(authorization)) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Point::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", authorization_);
    }
    methods->Proceed();
  }

 private:
  const std::string authorization_;
};

class TokenInterceptors final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptors(std::shared_ptr<TokenFile> file) : file_(std::move(file)) {}

  // gRPC owns what it gets.
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new TokenInterceptor(file_->Authorization());
  }

 private:
  const std::shared_ptr<TokenFile> file_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<TokenFile>> TokenFile::Open(const std::string& path) {
  std::shared_ptr<TokenFile> file(new TokenFile(path));
  (void)stat(path.c_str(), &file->seen_);  // Read tells what is wrong
  absl::StatusOr<std::string> token = file->Read();
  if (!token.ok()) return token.status();
  file->token_ = *std::move(token);
  return file;
}

absl::StatusOr<std::string> TokenFile::Read() const {
  std::ifstream file(path_, std::ios::binary);
  std::string text(kMaxTokenBytes + 1, '\0');
  if (!file) return InvalidField(kField, absl::StrCat("cannot be read: ", path_));
  file.read(text.data(), kMaxTokenBytes + 1);
  text.resize(static_cast<size_t>(file.gcount()));
  absl::StripAsciiWhitespace(&text);
  if (text.empty() || text.size() > kMaxTokenBytes ||
      !std::all_of(text.begin(), text.end(), absl::ascii_isgraph)) {
    return InvalidField(kField, absl::StrCat("holds no token, which is one line of printable "
                                             "ASCII, 8192 bytes at most: ",
                                             path_));
  }
  return text;
}

std::string TokenFile::Authorization() {
  const std::lock_guard<std::mutex> lock(mutex_);
  struct stat now = {};
  if (stat(path_.c_str(), &now) == 0 && !SameFile(now, seen_)) {
    seen_ = now;
    absl::StatusOr<std::string> token = Read();
    if (token.ok()) token_ = *std::move(token);
  }
  return absl::StrCat("Bearer ", token_);
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> SendToken(
    std::shared_ptr<TokenFile> file) {
  return std::make_unique<TokenInterceptors>(std::move(file));
}

}  // namespace semsam::client
