// What one request may ask for.
#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "server/app/flags/topics.h"

ABSL_FLAG(int64_t, max_image_mib, 64, "MiB of one uploaded image");
ABSL_FLAG(int64_t, max_image_megapixels, 64, "megapixels of one image");
ABSL_FLAG(std::string, tenants_file, "",
          "file of what each tenant may have beside the limits of the server, one a line: NAME (or "
          "* for all others), then any of max_sessions=N max_retained_mib=N "
          "max_upload_mib=N max_calls=N max_queries=N max_background_calls=N, and weight=N, its "
          "share of the work while others wait, too");
ABSL_FLAG(double, max_tenant_share, 0.5,
          "with --tenants_file: of the calls under way, of each queue and of the images being "
          "encoded, what one tenant may have; 1: all");
ABSL_FLAG(int, max_prompts, 64, "prompts a request");
ABSL_FLAG(int, max_words, 2000, "words a list");
ABSL_FLAG(int, max_word_characters, 64, "Unicode characters a word");
ABSL_FLAG(int, max_points_per_side, 64, "points of GenerateMasks on a side");
ABSL_FLAG(int, max_points_per_chunk, 256, "points that GenerateMasks decodes at a time");
ABSL_FLAG(int, max_instances, 1000, "instances that SegmentVocabulary may be asked for");
ABSL_FLAG(int, max_interact_streams, 256, "Interact streams open at a time");
ABSL_FLAG(int, max_open_clicks, 16, "clicks of one Interact stream open at a time");
ABSL_FLAG(int64_t, interact_window_kib, 1024,
          "KiB of masks that one Interact stream may have on their way");
ABSL_FLAG(absl::Duration, max_interact_age, absl::Minutes(30),
          "time after which an Interact stream ends");

namespace semsam {

void ReadLimitFlags(ServerOptions& options) {
  options.tenants_file = absl::GetFlag(FLAGS_tenants_file);
  EngineOptions& engine = options.engine;
  engine.max_tenant_share = absl::GetFlag(FLAGS_max_tenant_share);
  engine.image.max_bytes = MebibytesFlag(FLAGS_max_image_mib);
  engine.image.max_pixels =
      std::clamp<int64_t>(absl::GetFlag(FLAGS_max_image_megapixels), 0, 1000000) * 1000000;
  engine.prompts.max_prompts = absl::GetFlag(FLAGS_max_prompts);
  engine.words.max_words = absl::GetFlag(FLAGS_max_words);
  engine.words.max_characters = absl::GetFlag(FLAGS_max_word_characters);
  engine.generate.max_points_per_side = absl::GetFlag(FLAGS_max_points_per_side);
  engine.generate.max_points_per_chunk = absl::GetFlag(FLAGS_max_points_per_chunk);
  engine.vocabulary.max_instances = absl::GetFlag(FLAGS_max_instances);
  engine.interact.max_streams = absl::GetFlag(FLAGS_max_interact_streams);
  engine.interact.max_open_clicks = absl::GetFlag(FLAGS_max_open_clicks);
  constexpr int64_t kMostKib = int64_t{1} << 40;  // no overflow
  engine.interact.window_bytes =
      std::clamp<int64_t>(absl::GetFlag(FLAGS_interact_window_kib), 0, kMostKib) << 10;
  engine.interact.max_age = absl::GetFlag(FLAGS_max_interact_age);
}

}  // namespace semsam
