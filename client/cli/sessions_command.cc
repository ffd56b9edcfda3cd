#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/args.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/report.h"

namespace semsam::client {
namespace {

constexpr char kSessionsHelp[] = R"(semsam sessions: lists, shows, renews and ends sessions

Usage: semsam sessions [--server HOST:PORT] [--tenant NAME] [--json]
       semsam sessions --show ID
       semsam sessions --renew ID [--ttl SECONDS]
       semsam sessions --delete ID

Without an ID: the sessions of your tenant, oldest first. A server that tells no
tenants apart lists none (FAILED_PRECONDITION): there an ID is all that protects
a session.

)";

constexpr char kLineFormat[] = "%-42s %-22s %-22s %10s\n";

struct SessionsFlags {
  ConnectionFlags connection;
  std::string show;
  std::string renew;
  std::string end;
  absl::Duration ttl = absl::ZeroDuration();
  bool json = false;
  bool help = false;
};

void AddFlags(ArgParser& parser, SessionsFlags& flags) {
  AddConnectionFlags(parser, flags.connection);
  parser.AddGroup("Sessions");
  parser.AddValue("show", "ID", "one session, with its images", SetString(flags.show));
  parser.AddValue("renew", "ID", "renew its lease", SetString(flags.renew));
  parser.AddValue("ttl", "SECONDS", "with --renew: idle time after which it ends from now on",
                  SetSeconds(flags.ttl));
  parser.AddValue("delete", "ID", "end it", SetString(flags.end));
  parser.AddGroup("Output");
  parser.AddSwitch("json", "JSON instead of text", flags.json);
  parser.AddSwitch("help", "this text", flags.help);
}

absl::Status CheckFlags(const ArgParser& parser, const SessionsFlags& flags) {
  const int ids = static_cast<int>(!flags.show.empty()) + static_cast<int>(!flags.renew.empty()) +
                  static_cast<int>(!flags.end.empty());
  if (ids > 1) {
    return absl::InvalidArgumentError("--show, --renew and --delete: one at a time");
  }
  if (parser.Given("ttl") && flags.renew.empty()) {
    return absl::InvalidArgumentError("--ttl goes with --renew");
  }
  return absl::OkStatus();
}

std::string Time(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string Line(const Session& session) {
  return absl::StrFormat(kLineFormat, session.session_id, Time(session.create_time),
                         Time(session.expire_time), absl::FormatDuration(session.ttl));
}

std::string Header() {
  return absl::StrFormat(kLineFormat, "session", "created", "ends unless used", "idle time");
}

void PrintSession(const Session& session, bool json, Console console) {
  if (json) {
    console.out << Dump(ToJson(session)) << "\n";
    return;
  }
  console.out << Header() << Line(session);
  for (const Image& image : session.images) {
    console.out << "  image " << image.image_id << "  " << image.size.width << " x "
                << image.size.height << " px  sha256 " << image.sha256 << "\n";
  }
}

absl::Status List(Client& client, bool json, Console console) {
  nlohmann::ordered_json sessions = nlohmann::ordered_json::array();
  ListSessionsRequest request;
  do {
    const auto page = client.ListSessions(request);
    if (!page.ok()) return page.status();
    if (!json && request.page_token.empty()) console.out << Header();
    for (const Session& session : page->sessions) {
      if (json) {
        sessions.push_back(ToJson(session));
      } else {
        console.out << Line(session);
      }
    }
    request.page_token = page->next_page_token;
  } while (!request.page_token.empty());
  if (json) console.out << Dump(sessions) << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSessions(const std::vector<std::string>& args, Console console) {
  SessionsFlags flags;
  ArgParser parser;
  AddFlags(parser, flags);
  if (absl::Status status = parser.Parse(args); !status.ok()) return status;
  if (flags.help) {
    console.out << kSessionsHelp << parser.Help();
    return absl::OkStatus();
  }
  if (absl::Status status = CheckFlags(parser, flags); !status.ok()) return status;
  const auto client = Client::Connect(ToClientOptions(flags.connection));
  if (!client.ok()) return client.status();
  if (!flags.end.empty()) return (*client)->DeleteSession(flags.end);
  if (flags.show.empty() && flags.renew.empty()) return List(**client, flags.json, console);
  const auto session = flags.show.empty() ? (*client)->RenewSession(flags.renew, flags.ttl)
                                          : (*client)->GetSession(flags.show);
  if (!session.ok()) return session.status();
  PrintSession(*session, flags.json, console);
  return absl::OkStatus();
}

}  // namespace semsam::client
