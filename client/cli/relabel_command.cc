#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/args.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/report.h"
#include "client/cli/word_flags.h"

namespace semsam::client {
namespace {

constexpr char kRelabelHelp[] =
    R"(semsam relabel: other words for masks that the server still holds

Usage: semsam relabel --session ID --mask-ids 1,2,3 --objects WORDS [--parts WORDS] [FLAGS]

The server scores what it kept of the masks; nothing is decoded again. Sessions
and mask ids are those that `semsam segment --keep` prints.

Example:
  semsam segment --image photo.jpg --click 320,240 --objects "dog,cat" --keep
  semsam relabel --session ID --mask-ids 1,2,3 --objects "beagle,poodle,husky"

)";

struct RelabelFlags {
  ConnectionFlags connection;
  RefreshLabelsRequest request;
  TextMode text_mode = TextMode::kModel;
  bool json = false;
  bool help = false;
};

ArgParser::Setter SetIds(std::vector<uint64_t>& target) {
  return [&target](const std::string& value) {
    std::vector<uint64_t> ids;
    for (const absl::string_view part : absl::StrSplit(value, ',')) {
      uint64_t id = 0;
      if (!absl::SimpleAtoi(part, &id)) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", value, "' is no list of whole numbers like 1,2,3"));
      }
      ids.push_back(id);
    }
    target = std::move(ids);
    return absl::OkStatus();
  };
}

void AddRelabelFlags(ArgParser& parser, RelabelFlags& flags) {
  parser.AddGroup("Masks");
  parser.AddValue("session", "ID", "the session that the masks are from",
                  SetString(flags.request.session_id));
  parser.AddValue("mask-ids", "1,2,3", "masks, as `semsam segment` numbers them",
                  SetIds(flags.request.mask_ids));
  parser.AddGroup(kNamesGroup);
  AddLabelFlags(parser, "the same of parts", flags.request.labels, flags.text_mode);
  parser.AddValue("min-score", "N", "leave out names of lower score, 0 to 1",
                  SetFloat(flags.request.labels.min_score));
  parser.AddGroup("Output");
  parser.AddSwitch("json", "JSON instead of the table", flags.json);
  parser.AddSwitch("help", "this text", flags.help);
  AddConnectionFlags(parser, flags.connection);
}

absl::Status Check(const RelabelFlags& flags) {
  if (flags.request.session_id.empty()) {
    return absl::InvalidArgumentError("--session: is needed");
  }
  if (flags.request.mask_ids.empty()) return absl::InvalidArgumentError("--mask-ids: is needed");
  if (flags.request.labels.empty()) {
    return absl::InvalidArgumentError("--objects or --parts: at least one is needed");
  }
  return absl::OkStatus();
}

std::string JoinLabels(const std::vector<Label>& labels) {
  std::vector<std::string> texts;
  for (const Label& label : labels) texts.push_back(DescribeBest({label}));
  return texts.empty() ? "-" : absl::StrJoin(texts, ", ");
}

}  // namespace

absl::Status RunRelabel(const std::vector<std::string>& args, Console console) {
  RelabelFlags flags;
  ArgParser parser;
  AddRelabelFlags(parser, flags);
  if (absl::Status status = parser.Parse(args); !status.ok()) return status;
  if (flags.help) {
    console.out << kRelabelHelp << parser.Help();
    return absl::OkStatus();
  }
  if (absl::Status status = Check(flags); !status.ok()) return status;
  flags.request.labels.objects.mode = flags.text_mode;
  flags.request.labels.parts.mode = flags.text_mode;

  const auto client = Client::Connect(ToClientOptions(flags.connection));
  if (!client.ok()) return client.status();
  const auto result = (*client)->RefreshLabels(flags.request);
  if (!result.ok()) return result.status();
  if (flags.json) {
    console.out << Dump(ToJson(*result)) << "\n";
    return absl::OkStatus();
  }
  for (const MaskLabels& mask : result->masks) {
    console.out << "mask " << mask.mask_id;
    if (!flags.request.labels.objects.empty()) {
      console.out << "  objects: " << JoinLabels(mask.object_labels);
    }
    if (!flags.request.labels.parts.empty()) {
      console.out << "  parts: " << JoinLabels(mask.part_labels);
    }
    console.out << "\n";
  }
  return absl::OkStatus();
}

}  // namespace semsam::client
