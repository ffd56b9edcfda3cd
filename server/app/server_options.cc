#include "server/app/server_options.h"

#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {

absl::Status ServerOptions::Validate(const ModelConfig& config) const {
  SEMSAM_RETURN_IF_ERROR(engine.Validate(config));
  SEMSAM_RETURN_IF_ERROR(rpc.Validate());
  SEMSAM_RETURN_IF_ERROR(log.Validate());
  SEMSAM_RETURN_IF_ERROR(admin.Validate());
  if (drain_grace < absl::ZeroDuration()) {
    return InvalidField("drain_grace", "must not be negative");
  }
  if (drain_delay < absl::ZeroDuration() || drain_delay > drain_grace) {
    return InvalidField("drain_delay", "must not be negative, nor longer than drain_grace");
  }
  if (exit_margin < absl::ZeroDuration()) {
    return InvalidField("exit_margin", "must not be negative");
  }
  if (engine.max_chunk_bytes >= rpc.max_message_bytes) {
    return InvalidField("max_chunk_bytes", "a chunk must fit a message");
  }
  return absl::OkStatus();
}

}  // namespace semsam
