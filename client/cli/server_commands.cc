#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/args.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/report.h"

namespace semsam::client {
namespace {

constexpr char kInfoHelp[] = R"(semsam info: the server's model, what it can do, and its limits

Usage: semsam info [--server HOST:PORT] [--json]

)";

constexpr char kHealthHelp[] = R"(semsam health: exits with 0 if the server serves

Usage: semsam health [--server HOST:PORT] [--json]

)";

// Flags of a command that has no others.
struct PlainFlags {
  ConnectionFlags connection;
  bool json = false;
  bool help = false;
};

absl::StatusOr<PlainFlags> ParsePlainFlags(const std::vector<std::string>& args,
                                           const char* help_text, Console console) {
  PlainFlags flags;
  ArgParser parser;
  AddConnectionFlags(parser, flags.connection);
  parser.AddGroup("Output");
  parser.AddSwitch("json", "JSON instead of text", flags.json);
  parser.AddSwitch("help", "this text", flags.help);
  if (absl::Status status = parser.Parse(args); !status.ok()) return status;
  if (flags.help) console.out << help_text << parser.Help();
  return flags;
}

// "lab: 20 sessions, 64 requests under way at most", or nothing.
std::string QuotaText(const TenantQuota& quota) {
  if (quota.tenant.empty()) return "";
  std::string bounds;
  for (const auto& [bound, what] :
       {std::pair{quota.max_sessions, " sessions"},
        std::pair{quota.max_retained_image_bytes, " bytes of images kept"},
        std::pair{quota.max_upload_bytes, " bytes on their way"},
        std::pair{quota.max_requests, " requests under way"},
        std::pair{quota.max_queries, " queries of those"},
        std::pair{quota.max_background_requests, " requests in the background"}}) {
    if (bound.has_value()) absl::StrAppend(&bounds, bounds.empty() ? ": " : ", ", *bound, what);
  }
  return absl::StrCat("tenant        ", quota.tenant, bounds, bounds.empty() ? "" : " at most",
                      "\n");
}

std::string InfoText(const ServerInfo& info) {
  const Capabilities& can = info.model.capabilities;
  std::string levels;
  for (const GranularityLevel& level : info.model.levels) {
    absl::StrAppend(&levels, levels.empty() ? "" : ", ", level.level, level.name.empty() ? "" : " ",
                    level.name);
  }
  std::string abilities;
  for (const auto& [name, able] : {std::pair{"clicks", can.click_prompts},
                                   {"boxes", can.box_prompts},
                                   {"object labels", can.object_labels},
                                   {"part labels", can.part_labels},
                                   {"regions of words", can.vocabulary}}) {
    if (able) absl::StrAppend(&abilities, abilities.empty() ? "" : ", ", name);
  }
  const Limits& limits = info.limits;
  return absl::StrCat(
      "server        ", info.server_version, "\n", "model         ", info.model.name, " on ",
      info.model.device, info.model.trained ? "" : " (untrained weights: masks mean nothing)", "\n",
      "digest        ", info.model.digest, "\n", "levels        ", levels, "\n", "can do        ",
      abilities, "\n", "short edge    ", info.model.short_edge_px, " px\n", "image         ",
      limits.max_image_bytes, " bytes, ", limits.max_image_pixels, " px at most\n",
      "request       ", limits.max_prompts_per_request, " prompts at most\n", "session       ",
      limits.max_images_per_session, " images, ", absl::FormatDuration(limits.max_session_ttl),
      " idle, ", absl::FormatDuration(limits.max_session_age), " in all at most\n",
      "sessions      ", limits.max_sessions, " at most\n", "queue         ",
      limits.max_queued_requests, " requests at most\n", "words         ",
      can.object_labels || can.part_labels || can.vocabulary
          ? absl::StrCat(limits.max_words, " a list of ", limits.max_word_characters,
                         " characters at most; labels of the last ", limits.max_labelled_masks,
                         " masks can be refreshed")
          : "none: the model has no text",
      "\n", "own words     ", info.model.object_words.size(), " of objects, ",
      info.model.part_words.size(), " of parts (@model)\n", "everything    ",
      limits.max_points_per_side, " points a side at most\n", "interact      ",
      limits.max_open_clicks, " clicks open on a stream, which lives ",
      absl::FormatDuration(limits.max_interact_age), " at most\n", QuotaText(info.quota));
}

const char* HealthName(HealthStatus status) {
  switch (status) {
    case HealthStatus::kServing:
      return "SERVING";
    case HealthStatus::kNotServing:
      return "NOT_SERVING";
    case HealthStatus::kUnknown:
      break;
  }
  return "UNKNOWN";
}

}  // namespace

absl::Status RunInfo(const std::vector<std::string>& args, Console console) {
  const auto flags = ParsePlainFlags(args, kInfoHelp, console);
  if (!flags.ok() || flags->help) return flags.status();
  const auto client = Client::Connect(ToClientOptions(flags->connection));
  if (!client.ok()) return client.status();
  const auto info = (*client)->GetServerInfo();
  if (!info.ok()) return info.status();
  if (flags->json) {
    console.out << Dump(ToJson(*info)) << "\n";
  } else {
    console.out << InfoText(*info);
  }
  return absl::OkStatus();
}

absl::Status RunHealth(const std::vector<std::string>& args, Console console) {
  const auto flags = ParsePlainFlags(args, kHealthHelp, console);
  if (!flags.ok() || flags->help) return flags.status();
  // A server that warms up or drains answers this call alone: ask nothing else.
  ClientOptions options = ToClientOptions(flags->connection);
  options.connect_timeout = absl::ZeroDuration();
  const auto client = Client::Connect(std::move(options));
  if (!client.ok()) return client.status();
  const auto health = (*client)->CheckHealth();
  if (!health.ok()) return health.status();
  const std::string name = HealthName(*health);
  console.out << (flags->json ? Dump({{"status", name}}) : name) << "\n";
  if (*health == HealthStatus::kServing) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the server is ", name));
}

}  // namespace semsam::client
