#include "client/load/program.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/load/grpc_target.h"
#include "client/load/load_flags.h"
#include "client/load/load_plan.h"
#include "client/load/load_runner.h"
#include "client/load/pictures.h"
#include "client/load/plot.h"
#include "client/load/report.h"
#include "model/base/clock.h"
#include "model/base/errors.h"

namespace semsam::load {
namespace {

constexpr char kHelp[] =
    R"(semsam-load: puts a Semsam server under load and measures what users would see

Usage: semsam-load [FLAGS]
       semsam-load --compare A.json B.json [--plot FILE]

Sessions begin at random times (a Poisson process), upload a picture, click after
random think times, and leave. All of it is laid down beforehand, and latencies count
from when a call was due: a server that stalls cannot hide the calls that wait for it.

  semsam-load --server localhost:50051 --sessions-per-s 2 --duration 60 --json a.json --plot a.svg
  semsam-load --closed-loop --sessions 64 --think-time 0    # clicks a second at most

)";

// A report has at most 600 bins and some kinds of calls.
constexpr std::streamoff kMaxReportBytes = 16 << 20;

absl::Status WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot write ", path));
}

absl::StatusOr<LoadReport> ReadReport(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  if (file.tellg() > kMaxReportBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is too large for a report"));
  }
  file.seekg(0);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto report = ParseReport(text);
  if (!report.ok()) return Annotate(report.status(), path);
  return report;
}

absl::Status Compare(const std::vector<std::string>& args, std::ostream& out) {
  if (args.size() < 3) return absl::InvalidArgumentError("--compare: needs two reports");
  std::string plot_file;
  client::ArgParser parser;
  parser.AddValue("plot", "FILE", "", client::SetString(plot_file));
  if (absl::Status status = parser.Parse({args.begin() + 3, args.end()}); !status.ok()) {
    return status;
  }
  const auto a = ReadReport(args[1]);
  if (!a.ok()) return a.status();
  const auto b = ReadReport(args[2]);
  if (!b.ok()) return b.status();
  out << Comparison(*a, *b);
  if (plot_file.empty()) return absl::OkStatus();
  return WriteFile(plot_file, DrawPlot({*a, *b}));
}

// What figures are worth nothing without.
nlohmann::json ServerJson(const client::ServerInfo& info) {
  return {{"version", info.server_version}, {"model", info.model.name},
          {"digest", info.model.digest},    {"device", info.model.device},
          {"trained", info.model.trained},  {"short_edge_px", info.model.short_edge_px}};
}

void AddFlagsOfCalls(const LoadFlags& flags, nlohmann::json& options) {
  options["connections"] = flags.target.connections;
  options["levels"] = flags.target.levels;
  options["points_per_side"] = flags.target.points_per_side;
  options["pictures"] = flags.pictures.files;
  if (!flags.pictures.files.empty()) return;
  options["picture_size"] = {flags.pictures.width_px, flags.pictures.height_px};
  options["distinct"] = flags.pictures.distinct;
}

absl::StatusOr<LoadReport> RunLoad(LoadFlags& flags, std::ostream& err) {
  flags.pictures.seed = flags.load.seed;
  const auto plan = MakePlan(flags.load);
  if (!plan.ok()) return plan.status();
  const auto pictures = PictureSet::Create(flags.pictures);
  if (!pictures.ok()) return pictures.status();
  flags.target.server = client::ToClientOptions(flags.connection);
  const auto client = client::Client::Connect(flags.target.server);
  if (!client.ok()) return client.status();
  const auto info = (*client)->GetServerInfo();
  if (!info.ok()) return info.status();
  if (info->limits.max_chunk_bytes > 0) {
    flags.target.server.chunk_bytes =
        std::min<size_t>(flags.target.server.chunk_bytes, info->limits.max_chunk_bytes);
  }
  const RealClock clock;
  const auto target = GrpcTarget::Create(flags.target, clock);
  if (!target.ok()) return target.status();

  err << "semsam-load: " << plan->sessions.size() << " sessions, "
      << absl::FormatDuration(flags.load.warmup) << " of warm-up and "
      << absl::FormatDuration(flags.load.duration) << " that count, on " << info->model.name << " ("
      << info->model.device << ")" << std::endl;
  LoadRunner runner(flags.load, *plan, *pictures, **target, clock);
  runner.Run();

  LoadReport report = MakeReport(flags.load, runner.results());
  report.label = flags.label;
  report.server = ServerJson(*info);
  AddFlagsOfCalls(flags, report.options);
  return report;
}

absl::Status Load(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  LoadFlags flags;
  client::ArgParser parser;
  AddLoadFlags(parser, flags);
  if (absl::Status status = parser.Parse(args); !status.ok()) return status;
  if (flags.help) {
    out << kHelp << parser.Help();
    return absl::OkStatus();
  }
  const auto report = RunLoad(flags, err);
  if (!report.ok()) return report.status();
  out << Table(*report);
  if (!flags.json_file.empty()) {
    if (absl::Status status = WriteFile(flags.json_file, ToJson(*report).dump(1) + "\n");
        !status.ok()) {
      return status;
    }
  }
  if (!flags.plot_file.empty()) {
    if (absl::Status status = WriteFile(flags.plot_file, DrawPlot({*report})); !status.ok()) {
      return status;
    }
  }
  const bool answered = std::any_of(report->kinds.begin(), report->kinds.end(),
                                    [](const auto& kind) { return kind.second.ok > 0; });
  return answered ? absl::OkStatus() : absl::UnavailableError("no call was answered");
}

}  // namespace

int RunProgram(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  const bool compares = !args.empty() && args[0] == "--compare";
  const absl::Status status = compares ? Compare(args, out) : Load(args, out, err);
  if (status.ok()) return 0;
  err << "semsam-load: " << absl::StatusCodeToString(status.code()) << ": "
      << std::string(status.message()) << "\n";
  return 1;
}

}  // namespace semsam::load
