#include "client/load/load_flags.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace semsam::load {
namespace {

using Setter = client::ArgParser::Setter;

Setter SetNumber(double& target) {
  return [&target](const std::string& value) {
    double number = 0;
    if (!absl::SimpleAtod(value, &number) || !std::isfinite(number)) {
      return absl::InvalidArgumentError(absl::StrCat("'", value, "' is no finite number"));
    }
    target = number;
    return absl::OkStatus();
  };
}

// Unlike the client's, zero is a time too.
Setter SetTime(absl::Duration& target) {
  return [&target](const std::string& value) {
    double seconds = 0;
    if (absl::Status status = SetNumber(seconds)(value); !status.ok()) return status;
    target = absl::Seconds(seconds);
    return absl::OkStatus();
  };
}

Setter SetSeed(uint64_t& target) {
  return [&target](const std::string& value) {
    uint64_t seed = 0;
    if (!absl::SimpleAtoi(value, &seed)) {
      return absl::InvalidArgumentError(absl::StrCat("'", value, "' is no whole number"));
    }
    target = seed;
    return absl::OkStatus();
  };
}

Setter SetSize(int& width, int& height) {
  return [&width, &height](const std::string& value) {
    const std::vector<std::string> sides = absl::StrSplit(value, 'x');
    int parsed[2] = {};
    if (sides.size() != 2 || !absl::SimpleAtoi(sides[0], &parsed[0]) ||
        !absl::SimpleAtoi(sides[1], &parsed[1])) {
      return absl::InvalidArgumentError(absl::StrCat("'", value, "' is no size like 640x480"));
    }
    width = parsed[0];
    height = parsed[1];
    return absl::OkStatus();
  };
}

void AddPlanFlags(client::ArgParser& parser, LoadOptions& load) {
  parser.AddGroup("Sessions (times in seconds)");
  parser.AddValue("sessions-per-s", "RATE", "open loop: sessions that begin a second (1)",
                  SetNumber(load.sessions_per_s));
  parser.AddValue("clicks-per-session", "N", "open loop (10)",
                  client::SetPositiveInt(load.clicks_per_session));
  parser.AddValue("upload-allowance", "TIME",
                  "open loop: how long a user expects the upload to take (0)",
                  SetTime(load.upload_allowance));
  parser.AddSwitch("closed-loop", "a fixed number of sessions that click when they are answered",
                   load.closed_loop);
  parser.AddValue("sessions", "N", "of a closed loop (64)", client::SetPositiveInt(load.sessions));
  parser.AddValue("think-time", "TIME", "mean between two clicks (1)", SetTime(load.think_time));
  parser.AddValue("warmup", "TIME", "that is not counted (10)", SetTime(load.warmup));
  parser.AddValue("duration", "TIME", "that is counted (60)", SetTime(load.duration));
  parser.AddValue("seed", "N", "the same seed makes the same plan (1)", SetSeed(load.seed));

  parser.AddGroup("Shares of the clicks (0 to 1)");
  parser.AddValue("everything-share", "SHARE", "ask for everything in the picture (0)",
                  SetNumber(load.everything_share));
  parser.AddValue("cancel-share", "SHARE", "are cancelled (0)", SetNumber(load.cancel_share));
  parser.AddValue("cancel-after", "TIME", "mean until then (0.02)", SetTime(load.cancel_after));
  parser.AddValue("stall-share", "SHARE", "stop reading after the first mask (0)",
                  SetNumber(load.stall_share));
  parser.AddValue("stall-for", "TIME", "until they are cancelled (5)", SetTime(load.stall_for));
}

}  // namespace

void AddLoadFlags(client::ArgParser& parser, LoadFlags& flags) {
  client::AddConnectionFlags(parser, flags.connection);
  parser.AddValue("connections", "N", "that the sessions share (8)",
                  client::SetPositiveInt(flags.target.connections));
  parser.AddValue("max-in-flight", "N", "calls at a time; others wait, and are late (1024)",
                  client::SetPositiveInt(flags.load.max_in_flight));
  parser.AddValue("max-attempts", "N", "of a call, after refusals that invite it (1)",
                  client::SetPositiveInt(flags.load.max_attempts));
  AddPlanFlags(parser, flags.load);

  parser.AddGroup("Pictures and clicks");
  parser.AddRepeated("picture", "FILE", "to upload, in turn; else pictures are drawn",
                     [&flags](const std::string& value) {
                       flags.pictures.files.push_back(value);
                       return absl::OkStatus();
                     });
  parser.AddValue("picture-size", "WxH", "of a drawn picture (640x480)",
                  SetSize(flags.pictures.width_px, flags.pictures.height_px));
  parser.AddValue("distinct", "N", "drawn pictures before they repeat; 0: never (64)",
                  client::SetNonNegativeInt(flags.pictures.distinct));
  parser.AddValue("levels", "L,L,...", "granularity levels of a click (all)",
                  client::SetIntList(flags.target.levels));
  parser.AddValue("points-per-side", "N", "of everything; 0: the server's default (8)",
                  client::SetNonNegativeInt(flags.target.points_per_side));

  parser.AddGroup("Output");
  parser.AddValue("label", "TEXT", "name of this run in the report",
                  client::SetString(flags.label));
  parser.AddValue("json", "FILE", "write the report", client::SetString(flags.json_file));
  parser.AddValue("plot", "FILE", "write an SVG picture of it", client::SetString(flags.plot_file));
  parser.AddSwitch("help", "this text", flags.help);
}

}  // namespace semsam::load
