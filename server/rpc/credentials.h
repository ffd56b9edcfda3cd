// What the server proves itself with, and what it wants of its clients: TLS.
#ifndef SEMSAM_SERVER_RPC_CREDENTIALS_H_
#define SEMSAM_SERVER_RPC_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/rpc/edge_options.h"

namespace semsam {

// INVALID_ARGUMENT that names the field and the file: one that cannot be read, holds
// no PEM, or a key that is not the certificate's.
absl::Status CheckTlsFiles(const TlsOptions& options);

// When the certificate ends to be valid; the infinite future without TLS.
absl::StatusOr<absl::Time> CertificateExpiry(const TlsOptions& options);

// The credentials to listen with. `options` must be valid. As CheckTlsFiles.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ListenCredentials(
    const TlsOptions& options);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_CREDENTIALS_H_
