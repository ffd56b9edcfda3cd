// Who calls: tenants, known by their tokens.
#ifndef SEMSAM_SERVER_RPC_AUTHENTICATOR_H_
#define SEMSAM_SERVER_RPC_AUTHENTICATOR_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/mutex.h"
#include "server/batching/tenant_id.h"
#include "server/rpc/watched_file.h"

namespace semsam {

// Request metadata that a token comes in: "Bearer TOKEN".
inline constexpr char kAuthorizationKey[] = "authorization";
// Request metadata that a trusted proxy names the tenant in.
inline constexpr char kTenantKey[] = "semsam-tenant";

struct AuthOptions {
  // One token a line: the tenant's name, blanks, and the SHA-256 of the token in
  // hexadecimal digits. Empty lines and what follows a '#' mean nothing; a tenant may
  // have several tokens. Empty: nobody needs a token.
  std::string tokens_file;
  // Believe kTenantKey, where no token tells the tenant: for a server that is reached
  // through a proxy alone, which sets it.
  bool trust_tenant_metadata = false;

  // INVALID_ARGUMENT if both are asked for.
  absl::Status Validate() const;
};

// Thread-safe.
class Authenticator {
 public:
  // INVALID_ARGUMENT names the file and the line that is wrong.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(const AuthOptions& options);

  // The tenant that a call belongs to, by the values of its metadata; UNAUTHENTICATED
  // with that reason if it needs a token and has none that is known. Without tokens
  // and trust everybody is the same nameless tenant.
  absl::StatusOr<TenantId> Authenticate(std::optional<std::string_view> authorization,
                                        std::optional<std::string_view> tenant) const;

  // Reads the file again if it changed. An error leaves the tokens as they were, and
  // comes once a change.
  absl::Status Reload();

 private:
  using Tokens = std::map<std::string, TenantId>;  // by SHA-256, lower-case hexadecimal

  explicit Authenticator(const AuthOptions& options);
  static absl::StatusOr<Tokens> ParseTokens(const std::string& path, std::string_view text);
  absl::StatusOr<TenantId> ByToken(std::string_view authorization) const;

  const AuthOptions options_;
  mutable Mutex mutex_;
  WatchedFile file_ ABSL_GUARDED_BY(mutex_);
  // Never null; replaced as a whole.
  std::shared_ptr<const Tokens> tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_AUTHENTICATOR_H_
