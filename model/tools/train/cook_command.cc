#include "model/tools/train/cook_command.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "model/base/clock.h"
#include "model/base/status_macros.h"
#include "model/cook/cook.h"
#include "model/tools/program/command_line.h"

namespace semsam {
namespace {

CommandLine MakeCommandLine(CookOptions& options, std::string& packs) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("data", "FOLDER", "the collection: icons, faces, cutouts, pets, people, coco, ..",
               &options.sources.data, Need::kRequired);
  line.AddText("out", "FOLDER", "where the packs and words.txt go", &options.out, Need::kRequired);
  line.AddText("clipart", "FOLDER", "SVG files (openclipart-svg); default: no clip art",
               &options.sources.clipart, Need::kOptional);
  line.AddText("nouns", "FILE", "WordNet's index.noun, which gives clip art its names",
               &options.sources.nouns, Need::kOptional);
  line.AddText("packs", "A,B,..", "only these; default: all", &packs, Need::kOptional);
  line.AddNumber("share", "X", "of the usual number of scenes; default: 1", &options.share);
  line.AddNumber("seed", "N", "default: 1", &options.seed);
  line.AddNumber("threads", "N", "default: 2", &options.writing.threads);
  line.AddNumber("max-broken", "N", "broken pictures of a pack that are left out; default: 40",
                 &options.max_broken);
  return line;
}

std::string Help() {
  CookOptions options;
  std::string packs;
  return MakeCommandLine(options, packs).Help() + "  packs: " + absl::StrJoin(PackNames(), ", ") +
         "\n";
}

absl::StatusOr<CookOptions> ParseOptions(std::span<const std::string> arguments) {
  CookOptions options;
  std::string packs;
  SEMSAM_RETURN_IF_ERROR(MakeCommandLine(options, packs).Parse(arguments));
  options.packs = absl::StrSplit(packs, ',', absl::SkipEmpty());
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  return options;
}

void Print(const CookedPack& pack, std::ostream& out) {
  const auto samples = static_cast<double>(pack.counts.samples);
  out << absl::StrFormat("%-20s %6d pictures  %7d masks (%.1f a picture)  of %5d  %6.1f s\n",
                         pack.name, pack.counts.samples, pack.counts.masks,
                         static_cast<double>(pack.counts.masks) / samples, pack.sprites,
                         absl::ToDoubleSeconds(pack.taken));
  if (pack.unsuitable > 0) {
    out << absl::StrFormat("  left out: %d without ink or with too many shapes\n", pack.unsuitable);
  }
  for (const auto& [title, reason] : pack.broken)
    out << "  broken: " << title << ": " << reason << "\n";
  out.flush();
}

absl::Status Run(std::span<const std::string> arguments, std::ostream& out) {
  const absl::StatusOr<CookOptions> options = ParseOptions(arguments);
  if (!options.ok()) return UsageError(options.status());
  return Cook(*options, RealClock(), [&out](const CookedPack& pack) { Print(pack, out); });
}

}  // namespace

Command CookCommand() {
  return {.name = "cook",
          .summary = "Make packs to train on from icons, clip art, faces, cut-outs, photographs",
          .run = Run,
          .help = Help};
}

}  // namespace semsam
