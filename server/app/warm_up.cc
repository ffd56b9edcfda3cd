#include "server/app/warm_up.h"

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "model/image/mask_codec.h"
#include "server/log/log.h"

namespace semsam {
namespace {

// The network resizes it to what it sees of any square picture.
constexpr int kEdgePx = 64;

}  // namespace

void WarmUp(Engine& engine, absl::AnyInvocable<void(const absl::Status&)> done) {
  // Of a model without clicks there is no run as small as this.
  if (!engine.model().config.capabilities.click_prompts) return done(absl::OkStatus());
  absl::StatusOr<std::string> picture = EncodeMaskPng(
      {.size = {kEdgePx, kEdgePx}, .pixels = std::vector<uint8_t>(kEdgePx * kEdgePx)});
  if (!picture.ok()) return done(picture.status());
  const UserPrompt click = {.shape = UserClick{kEdgePx / 2.0F, kEdgePx / 2.0F}};
  // As a name it is no tenant's (IsServersOwn): nobody else sees the picture's embedding,
  // and the next process does not load it instead of running the model.
  const TenantId nobody = {"#warm-up"};
  engine.Segment({.image = *std::move(picture), .prompts = {click}},
                 {.deadline = engine.EffectiveDeadline(absl::InfiniteFuture(), /*background=*/true),
                  .tenant = nobody},
                 {.on_mask = [](const SegmentMask& /*mask*/) {},
                  .on_done =
                      [done = std::move(done),
                       start = absl::Now()](const absl::StatusOr<SegmentSummary>& summary) mutable {
                        const absl::string_view error = summary.status().message();
                        LogLine(summary.ok() ? LogLevel::kInfo : LogLevel::kError, "warm_up")
                            .Number("duration_ms", absl::ToDoubleMilliseconds(absl::Now() - start))
                            .Text("error", {error.data(), error.size()});
                        done(summary.status());
                      }});
}

}  // namespace semsam
