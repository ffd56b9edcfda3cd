#include "model/tools/inspect/convert_command.h"

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/weights/model_file.h"

namespace semsam {
namespace {

struct Options {
  std::string weights;
  std::string out;
  std::string dtype;
  std::string license;
  std::string source;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("weights", "W", kWeightsHelp, &options.weights, Need::kRequired);
  line.AddText("out", "F", "the safetensors file to write", &options.out, Need::kRequired);
  line.AddText("dtype", "T", "fp32, fp16 or bf16; default: as in W", &options.dtype,
               Need::kOptional);
  line.AddText("license", "TEXT", "licence of the weights; default: that of W", &options.license,
               Need::kOptional);
  line.AddText("source", "TEXT", "where the weights come from; default: that of W", &options.source,
               Need::kOptional);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

absl::StatusOr<std::optional<DType>> ParseDType(const std::string& text) {
  constexpr std::pair<const char*, DType> kNames[] = {
      {"fp32", DType::kFloat32}, {"fp16", DType::kFloat16}, {"bf16", DType::kBFloat16}};
  if (text.empty()) return std::optional<DType>();
  for (const auto& [name, dtype] : kNames) {
    if (text == name) return std::optional<DType>(dtype);
  }
  return absl::InvalidArgumentError("--dtype must be fp32, fp16 or bf16");
}

// What the command line says, else what the file says.
std::string Choose(const std::string& given, const ModelFile& file, const char* key) {
  return given.empty() ? file.MetadataValue(key) : given;
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  const absl::StatusOr<std::optional<DType>> dtype = ParseDType(options.dtype);
  if (!dtype.ok()) return UsageError(dtype.status());

  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> file, ModelFile::Open(options.weights));
  const ModelFileInfo info{.trained = file->trained(),
                           .license = Choose(options.license, *file, kLicenseKey),
                           .source = Choose(options.source, *file, kSourceKey),
                           .vocabulary = file->vocabulary()};
  SEMSAM_RETURN_IF_ERROR(WriteModel(options.out, file->config(), file->weights(), info, *dtype));

  // Reading it back is the proof that it can be used.
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> written, ModelFile::Open(options.out));
  out << absl::StrFormat("%s: %s, %d tensors, %d bytes of weights, digest %s\n", options.out,
                         written->config().name, written->weights().size(),
                         written->weights().size_bytes(), written->digest());
  return absl::OkStatus();
}

}  // namespace

Command ConvertCommand() {
  return {.name = "convert",
          .summary = "Write a weight file as safetensors that carries its configuration",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
