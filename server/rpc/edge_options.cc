#include "server/rpc/edge_options.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

// gRPC counts milliseconds in an int.
constexpr absl::Duration kLongest = absl::Hours(24 * 14);

absl::Status CheckDuration(const char* field, absl::Duration value, absl::Duration least) {
  if (value >= least && value <= kLongest) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be between ", absl::FormatDuration(least), " and ",
                                          absl::FormatDuration(kLongest)));
}

absl::Status CheckNumber(const char* field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be between ", least, " and ", most));
}

}  // namespace

absl::Status TlsOptions::Validate() const {
  if (cert_file.empty() != key_file.empty()) {
    return InvalidField(cert_file.empty() ? "tls.cert_file" : "tls.key_file",
                        "certificate and key go together");
  }
  if (!client_ca_file.empty() && cert_file.empty()) {
    return InvalidField("tls.client_ca_file", "needs a certificate of the server's own, too");
  }
  return CheckDuration("tls.reload_interval", reload_interval, absl::Seconds(1));
}

absl::Status ConnectionOptions::Validate() const {
  SEMSAM_RETURN_IF_ERROR(
      CheckDuration("connections.keepalive_time", keepalive_time, absl::Milliseconds(10)));
  SEMSAM_RETURN_IF_ERROR(
      CheckDuration("connections.keepalive_timeout", keepalive_timeout, absl::Milliseconds(10)));
  SEMSAM_RETURN_IF_ERROR(
      CheckDuration("connections.min_ping_interval", min_ping_interval, absl::ZeroDuration()));
  if (max_age != absl::InfiniteDuration()) {
    SEMSAM_RETURN_IF_ERROR(CheckDuration("connections.max_age", max_age, absl::Milliseconds(10)));
  }
  SEMSAM_RETURN_IF_ERROR(
      CheckDuration("connections.max_age_grace", max_age_grace, absl::ZeroDuration()));
  SEMSAM_RETURN_IF_ERROR(
      CheckNumber("connections.max_concurrent_streams", max_concurrent_streams, 1, 1 << 20));
  SEMSAM_RETURN_IF_ERROR(CheckNumber("connections.max_memory_bytes", max_memory_bytes,
                                     int64_t{1} << 20, int64_t{1} << 40));
  return CheckNumber("connections.max_metadata_bytes", max_metadata_bytes, 1 << 10, 1 << 20);
}

absl::Status ValidateListen(const std::string& field, const std::string& listen) {
  if (absl::StartsWith(listen, "unix:") || absl::StrContains(listen, ':')) return absl::OkStatus();
  return InvalidField(field, "must be HOST:PORT or unix:PATH");
}

}  // namespace semsam
