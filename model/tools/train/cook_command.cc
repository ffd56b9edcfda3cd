#include "model/tools/train/cook_command.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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

struct Texts {
  CookOptions options;
  std::string seed;
  std::string threads;
  std::string share;
  std::string max_broken;
  std::string packs;
};

CommandLine MakeCommandLine(Texts& texts) {
  using Need = CommandLine::Need;
  CommandLine line;
  line.AddText("data", "FOLDER", "the collection: icons, faces, cutouts, pets, people, coco, ..",
               &texts.options.sources.data, Need::kRequired);
  line.AddText("out", "FOLDER", "where the packs and words.txt go", &texts.options.out,
               Need::kRequired);
  line.AddText("clipart", "FOLDER", "SVG files (openclipart-svg); default: no clip art",
               &texts.options.sources.clipart, Need::kOptional);
  line.AddText("nouns", "FILE", "WordNet's index.noun, which gives clip art its names",
               &texts.options.sources.nouns, Need::kOptional);
  line.AddText("packs", "A,B,..", "only these; default: all", &texts.packs, Need::kOptional);
  line.AddText("share", "X", "of the usual number of scenes; default: 1", &texts.share,
               Need::kOptional);
  line.AddText("seed", "N", "default: 1", &texts.seed, Need::kOptional);
  line.AddText("threads", "N", "default: 2", &texts.threads, Need::kOptional);
  line.AddText("max-broken", "N", "broken pictures of a pack that are left out; default: 40",
               &texts.max_broken, Need::kOptional);
  return line;
}

std::string Help() {
  Texts texts;
  return MakeCommandLine(texts).Help() + "  packs: " + absl::StrJoin(PackNames(), ", ") + "\n";
}

template <typename T>
absl::Status ParseInteger(const std::string& text, const char* name, T& value) {
  if (text.empty() || absl::SimpleAtoi(text, &value)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, " must be a whole number"));
}

absl::StatusOr<CookOptions> ParseOptions(std::span<const std::string> arguments) {
  Texts texts;
  SEMSAM_RETURN_IF_ERROR(MakeCommandLine(texts).Parse(arguments));
  CookOptions& options = texts.options;
  uint64_t max_broken = options.max_broken;
  SEMSAM_RETURN_IF_ERROR(ParseInteger(texts.seed, "seed", options.seed));
  SEMSAM_RETURN_IF_ERROR(ParseInteger(texts.threads, "threads", options.writing.threads));
  SEMSAM_RETURN_IF_ERROR(ParseInteger(texts.max_broken, "max-broken", max_broken));
  options.max_broken = max_broken;
  if (!texts.share.empty() && !absl::SimpleAtod(texts.share, &options.share)) {
    return absl::InvalidArgumentError("--share must be a number");
  }
  options.packs = absl::StrSplit(texts.packs, ',', absl::SkipEmpty());
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
