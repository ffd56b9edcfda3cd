#include "server/rpc/convert_interact.h"

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/convert_words.h"

namespace semsam {
namespace {

absl::StatusOr<InteractStart> StartFromProto(const v1::InteractStart& start) {
  InteractStart out{.image = {.session_id = start.session_id(), .image_id = start.image_id()}};
  SEMSAM_ASSIGN_OR_RETURN(out.options, OptionsFromProto(start.options()));
  SEMSAM_ASSIGN_OR_RETURN(out.labels, FromProto(start.labels()));
  return out;
}

}  // namespace

absl::StatusOr<InteractStart> FromProto(const v1::InteractStart& start) {
  absl::StatusOr<InteractStart> out = StartFromProto(start);
  if (!out.ok()) return PrependField(out.status(), "start");
  return out;
}

InteractClick FromProto(const v1::InteractClick& click) {
  InteractClick out{.correlation_id = click.correlation_id(),
                    .prompts = PromptsFromProto(click.prompts()),
                    .latest_wins = click.latest_wins()};
  if (!out.prompts.ok()) out.prompts = PrependField(out.prompts.status(), "click");
  return out;
}

v1::InteractError ErrorToProto(const absl::Status& status) {
  v1::InteractError out;
  // The codes of absl and gRPC are the same numbers.
  out.set_code(static_cast<int>(status.code()));
  out.set_message(std::string(status.message()));
  out.set_reason(ErrorReason(status).value_or(""));
  out.set_field(ErrorField(status).value_or(""));
  out.set_sha256(ErrorImageDigest(status).value_or(""));
  if (const auto delay = ErrorRetryAfter(status); delay.has_value()) {
    const int64_t milliseconds = absl::ToInt64Milliseconds(*delay);
    out.mutable_retry_after()->set_seconds(milliseconds / 1000);
    out.mutable_retry_after()->set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1000000));
  }
  return out;
}

}  // namespace semsam
