#include "server/app/warm_up.h"

#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "model/base/mutex.h"
#include "model/image/mask_codec.h"
#include "server/log/log.h"

namespace semsam {
namespace {

// The network resizes it to what it sees of any square picture.
constexpr int kEdgePx = 64;

using Done = absl::AnyInvocable<void(const absl::Status&)>;

// All devices of one warm-up. Thread-safe.
class Round {
 public:
  Round(int devices, Done done) : left_(devices), done_(std::move(done)) {}

  // One of them is done; the last tells how it went.
  void Add(const absl::Status& status) {
    absl::Status worst;
    {
      MutexLock lock(mutex_);
      if (worst_.ok()) worst_ = status;
      if (--left_ > 0) return;
      worst = worst_;
    }
    done_(worst);
  }

 private:
  Mutex mutex_;
  int left_ ABSL_GUARDED_BY(mutex_);
  absl::Status worst_ ABSL_GUARDED_BY(mutex_);
  Done done_;  // of whoever is the last
};

// Another one for each device: one that is encoded already is not encoded again.
absl::StatusOr<std::string> Picture(int device) {
  BinaryMask mask{.size = {kEdgePx, kEdgePx}, .pixels = std::vector<uint8_t>(kEdgePx * kEdgePx)};
  for (int bit = 0; bit < 31; ++bit) mask.pixels[bit] = device >> bit & 1;
  return EncodeMaskPng(mask);
}

void WarmUpDevice(Engine& engine, int device, const std::shared_ptr<Round>& round) {
  absl::StatusOr<std::string> picture = Picture(device);
  if (!picture.ok()) return round->Add(picture.status());
  const UserPrompt click = {.shape = UserClick{kEdgePx / 2.0F, kEdgePx / 2.0F}};
  // As a name it is no tenant's (IsServersOwn): nobody else sees the picture's embedding,
  // and the next process does not load it instead of running the model.
  const TenantId nobody = {"#warm-up"};
  engine.Segment(
      {.image = *std::move(picture), .prompts = {click}, .device = device},
      {.deadline = engine.EffectiveDeadline(absl::InfiniteFuture(), /*background=*/true),
       .tenant = nobody},
      {.on_mask = [](const SegmentMask& /*mask*/) {},
       .on_done =
           [round, device, start = absl::Now()](const absl::StatusOr<SegmentSummary>& summary) {
             const absl::string_view error = summary.status().message();
             LogLine(summary.ok() ? LogLevel::kInfo : LogLevel::kError, "warm_up")
                 .Number("worker", int64_t{device})
                 .Number("duration_ms", absl::ToDoubleMilliseconds(absl::Now() - start))
                 .Text("error", {error.data(), error.size()});
             round->Add(summary.status());
           }});
}

}  // namespace

void WarmUp(Engine& engine, Done done) {
  // Of a model without clicks there is no run as small as this.
  if (!engine.model().config.capabilities.click_prompts) return done(absl::OkStatus());
  const auto round = std::make_shared<Round>(engine.devices(), std::move(done));
  for (int device = 0; device < engine.devices(); ++device) WarmUpDevice(engine, device, round);
}

}  // namespace semsam
