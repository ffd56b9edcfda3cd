#include "model/tools/train/vocabulary_command.h"

#include <memory>
#include <string>
#include <utility>

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
  int objects = -1;  // as in the recipe
  int parts = -1;
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
  const NumberRange<int> range = {.least = 0, .most = static_cast<int>(kMaxVocabularyWords)};
  line.AddNumber("objects", "N", "so many names, the most seen; default: as in the recipe",
                 &options.objects, range);
  line.AddNumber("parts", "N", "the same of parts; default: as in the recipe", &options.parts,
                 range);
  line.AddText("leave-out", "P,P,..", "none that fit a pattern, e.g. \"group of *\"",
               &options.leave_out, Need::kOptional);
  return line;
}

std::string Help() {
  Options options;
  return MakeCommandLine(options).Help();
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  Options options;
  CommandLine line = MakeCommandLine(options);
  if (const absl::Status status = line.Parse(arguments); !status.ok()) return UsageError(status);
  const absl::StatusOr<RecipeFolders> folders = ParseFolders(options.folders);
  if (!folders.ok()) return UsageError(folders.status());
  SEMSAM_ASSIGN_OR_RETURN(Recipe recipe, ReadRecipe(options.recipe, *folders));
  if (options.objects >= 0) recipe.result.vocabulary_objects = options.objects;
  if (options.parts >= 0) recipe.result.vocabulary_parts = options.parts;
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
                     .license = file->MetadataValue(kLicenseKey),
                     .source = file->MetadataValue(kSourceKey),
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
