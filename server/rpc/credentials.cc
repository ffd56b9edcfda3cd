#include "server/rpc/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/rpc/watched_file.h"

namespace semsam {
namespace {

constexpr char kCertField[] = "tls.cert_file";
constexpr char kKeyField[] = "tls.key_file";
constexpr char kClientCaField[] = "tls.client_ca_file";

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

std::unique_ptr<BIO, FreeBio> Reader(const std::string& pem) {
  return std::unique_ptr<BIO, FreeBio>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Keys that want a pass phrase get none, instead of a question on the terminal.
int NoPassPhrase(char* /*buffer*/, int /*size*/, int /*for_writing*/, void* /*user*/) { return -1; }

// The first certificate of the file.
absl::StatusOr<Certificate> ReadCertificate(const std::string& path, const char* field) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string pem, ReadSmallFile(path, field));
  Certificate certificate(PEM_read_bio_X509(Reader(pem).get(), nullptr, NoPassPhrase, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) {
    return InvalidField(field, absl::StrCat("holds no PEM certificate: ", path));
  }
  return certificate;
}

absl::StatusOr<Key> ReadKey(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::string pem, ReadSmallFile(path, kKeyField));
  Key key(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, NoPassPhrase, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return InvalidField(kKeyField, absl::StrCat("holds no PEM private key, or one with a pass "
                                                "phrase: ",
                                                path));
  }
  return key;
}

}  // namespace

absl::Status CheckTlsFiles(const TlsOptions& options) {
  if (!options.enabled()) return absl::OkStatus();
  SEMSAM_ASSIGN_OR_RETURN(const Certificate certificate,
                          ReadCertificate(options.cert_file, kCertField));
  SEMSAM_ASSIGN_OR_RETURN(const Key key, ReadKey(options.key_file));
  const bool match = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!match) {
    return InvalidField(kKeyField,
                        absl::StrCat(options.key_file, " is not the key of ", options.cert_file));
  }
  if (options.client_ca_file.empty()) return absl::OkStatus();
  return ReadCertificate(options.client_ca_file, kClientCaField).status();
}

absl::StatusOr<absl::Time> CertificateExpiry(const TlsOptions& options) {
  if (!options.enabled()) return absl::InfiniteFuture();
  SEMSAM_ASSIGN_OR_RETURN(const Certificate certificate,
                          ReadCertificate(options.cert_file, kCertField));
  std::tm end = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) {
    return InvalidField(kCertField, absl::StrCat("has no end: ", options.cert_file));
  }
  return absl::FromTM(end, absl::UTCTimeZone());
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ListenCredentials(
    const TlsOptions& options) {
  if (!options.enabled()) return grpc::InsecureServerCredentials();
  // gRPC itself would start with bad files, and fail every handshake.
  SEMSAM_RETURN_IF_ERROR(CheckTlsFiles(options));
  namespace tls = grpc::experimental;
  const auto interval_s = static_cast<unsigned int>(
      std::max<int64_t>(1, absl::ToInt64Seconds(options.reload_interval)));
  const auto provider = std::make_shared<tls::FileWatcherCertificateProvider>(
      options.key_file, options.cert_file, options.client_ca_file, interval_s);
  tls::TlsServerCredentialsOptions credentials(provider);
  credentials.watch_identity_key_cert_pairs();
  if (!options.client_ca_file.empty()) {
    credentials.watch_root_certs();
    credentials.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(credentials);
}

}  // namespace semsam
