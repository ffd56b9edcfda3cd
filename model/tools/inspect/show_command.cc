#include "model/tools/inspect/show_command.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/weights/config_json.h"
#include "model/weights/model_file.h"
#include "model/weights/shown_name.h"
#include "nlohmann/json.hpp"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string weights;
  bool verify = false;
  bool json = false;
};

CommandLine MakeCommandLine(Options& options) {
  CommandLine line;
  line.AddText("weights", "W", kWeightsHelp, &options.weights, CommandLine::Need::kRequired);
  line.AddFlag("verify", "hash all tensors and compare with the stored digest", &options.verify);
  line.AddFlag("json", "print one JSON object", &options.json);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

// What the configuration is, without what holds of the tensors alone.
Json Describe(const ModelFile& file, bool verified) {
  Json json = {{"format", file.format()},
               {"config", Json::parse(ConfigToJson(file.config()), nullptr, false)},
               {"trained", file.trained()},
               {"parameters", file.weights().parameters()},
               {"size_bytes", file.weights().size_bytes()},
               {"digest", file.digest()},
               {"digest_verified", verified}};
  json["vocabulary"] = {{"objects", file.vocabulary().objects}, {"parts", file.vocabulary().parts}};
  Json& metadata = json["metadata"] = Json::object();
  for (const auto& [key, value] : file.metadata()) {
    if (key != kConfigKey && key != kVocabularyKey) metadata[key] = value;
  }
  Json& tensors = json["tensors"] = Json::array();
  for (const auto& [name, tensor] : file.weights()) {
    tensors.push_back(
        {{"name", name}, {"dtype", DTypeName(tensor.dtype)}, {"shape", tensor.shape}});
  }
  return json;
}

void PrintJson(const ModelFile& file, bool verified, std::ostream& out) {
  // Names in a checkpoint need not be UTF-8.
  out << Describe(file, verified).dump(1, ' ', false, Json::error_handler_t::replace) << "\n";
}

void PrintText(const ModelFile& file, bool verified, std::ostream& out) {
  size_t width = 0;
  for (const auto& [name, tensor] : file.weights()) {
    const std::string shown = ShownName(name);
    width = std::max(width, shown.size());
  }
  for (const auto& [name, tensor] : file.weights()) {
    out << absl::StrFormat("%-*s  %-8s  %s\n", static_cast<int>(width), ShownName(name),
                           DTypeName(tensor.dtype), ShapeText(tensor.shape));
  }
  const Json config = Json::parse(ConfigToJson(file.config()), nullptr, false);
  out << "\nconfiguration\n";
  for (const auto& [key, value] : config.items()) {
    out << absl::StrFormat("  %-20s %s\n", key, value.dump());
  }
  out << "\n";
  for (const auto& [key, value] : file.metadata()) {
    if (key == kLicenseKey || key == kSourceKey) {
      out << absl::StrFormat("%-12s %s\n", key, ShownName(value));
    }
  }
  out << absl::StrFormat("%-12s %s\n", "format", file.format());
  out << absl::StrFormat("%-12s %s\n", "trained",
                         file.trained() ? "yes" : "no: the weights come from a formula");
  if (!file.vocabulary().empty()) {
    out << absl::StrFormat("%-12s %d names of objects, %d of parts\n", "vocabulary",
                           file.vocabulary().objects.size(), file.vocabulary().parts.size());
  }
  out << absl::StrFormat("%-12s %d\n", "tensors", file.weights().size());
  out << absl::StrFormat("%-12s %d (%.1f million)\n", "parameters", file.weights().parameters(),
                         static_cast<double>(file.weights().parameters()) / 1e6);
  out << absl::StrFormat("%-12s %d\n", "bytes", file.weights().size_bytes());
  out << absl::StrFormat("%-12s %s%s\n", "digest", file.digest(), verified ? " (verified)" : "");
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> file, ModelFile::Open(options.weights));
  if (options.verify) {
    SEMSAM_ASSIGN_OR_RETURN(const std::string digest, file->ComputeDigest());
    if (digest != file->digest()) {
      return absl::DataLossError(absl::StrCat(options.weights, ": the tensors have the digest ",
                                              digest, ", the file says ", file->digest()));
    }
  }
  if (options.json) {
    PrintJson(*file, options.verify, out);
  } else {
    PrintText(*file, options.verify, out);
  }
  return absl::OkStatus();
}

}  // namespace

Command ShowCommand() {
  return {.name = "show",
          .summary = "Show the configuration, tensors, size and digest of a weight file",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
