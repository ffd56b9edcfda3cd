#include "model/tools/train/vocabulary_command.h"

#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "model/base/status_macros.h"
#include "model/tools/program/command_line.h"
#include "model/training/recipe.h"
#include "model/training/trained_vocabulary.h"
#include "model/weights/model_file.h"

namespace semsam {
namespace {

struct Options {
  std::string recipe;
  std::string folders;
  std::string weights;
  std::string out;
  std::string objects;
  std::string parts;
  std::string leave_out;
};

CommandLine MakeCommandLine(Options& options) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("recipe", "FILE", "what the weights were trained by", &options.recipe,
               Need::kRequired);
  line.AddText("folders", "N=PATH,..", "what {N} in the paths of the recipe stands for",
               &options.folders, Need::kOptional);
  line.AddText("weights", "W", kWeightsHelp, &options.weights, Need::kRequired);
  line.AddText("out", "F", "the safetensors file to write: W with the words", &options.out,
               Need::kRequired);
  line.AddText("objects", "N", "so many names, the most seen; default: as in the recipe",
               &options.objects, Need::kOptional);
  line.AddText("parts", "N", "the same of parts", &options.parts, Need::kOptional);
  line.AddText("leave-out", "P,P,..", "none that fit a pattern, e.g. \"group of *\"",
               &options.leave_out, Need::kOptional);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

absl::Status ReadCount(const char* name, const std::string& text, int& value) {
  if (text.empty()) return absl::OkStatus();
  if (absl::SimpleAtoi(text, &value) && value >= 0 &&
      static_cast<size_t>(value) <= kMaxVocabularyWords) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", name, " must be a number up to ", kMaxVocabularyWords));
}

// What the file says of itself.
std::string Said(const ModelFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? std::string() : found->second;
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  const absl::StatusOr<RecipeFolders> folders = ParseFolders(options.folders);
  if (!folders.ok()) return UsageError(folders.status());
  SEMSAM_ASSIGN_OR_RETURN(Recipe recipe, ReadRecipe(options.recipe, *folders));
  for (const auto& [name, text, value] :
       {std::tuple{"objects", &options.objects, &recipe.result.vocabulary_objects},
        std::tuple{"parts", &options.parts, &recipe.result.vocabulary_parts}}) {
    if (const absl::Status status = ReadCount(name, *text, *value); !status.ok()) {
      return UsageError(status);
    }
  }
  for (const absl::string_view pattern :
       absl::StrSplit(options.leave_out, ',', absl::SkipEmpty())) {
    recipe.result.vocabulary_leave_out.emplace_back(pattern);
  }
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> file, ModelFile::Open(options.weights));
  SEMSAM_ASSIGN_OR_RETURN(ModelVocabulary vocabulary, TrainedVocabulary(recipe));
  out << options.out << ": " << vocabulary.objects.size() << " names of objects, "
      << vocabulary.parts.size() << " of parts\n";
  return WriteModel(options.out, file->config(), file->weights(),
                    {.trained = file->trained(),
                     .license = Said(*file, kLicenseKey),
                     .source = Said(*file, kSourceKey),
                     .vocabulary = std::move(vocabulary)});
}

}  // namespace

Command VocabularyCommand() {
  return {.name = "vocabulary",
          .summary = "Write the words that a recipe's data teaches into a weight file",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
