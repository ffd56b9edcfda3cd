#include "model/tools/eval/program.h"

#include <algorithm>

#include "model/base/status_macros.h"
#include "model/tools/eval/score_command.h"
#include "model/tools/program/command.h"

namespace semsam {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

bool AsksForHelp(std::span<const std::string> arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
    return argument == "--help" || argument == "-h";
  });
}

void PrintHelp(bool scoring, std::ostream& out) {
  if (scoring) {
    out << "Usage: semsam-eval score [options]\n\n"
        << ScoreCommand().summary << ".\n\nOptions:\n"
        << ScoreCommand().help();
    return;
  }
  out << "Usage: semsam-eval [options]\n"
         "       semsam-eval score [options]   files of predictions, without a model\n\n"
         "Evaluates a model on data sets: clicks, boxes, labels and words.\n\nOptions:\n"
      << EvaluateHelp();
}

absl::Status Run(std::span<const std::string> arguments, bool scoring,
                 const SegmenterFactory& factory, const EvaluateStreams& streams) {
  if (scoring) return ScoreCommand().run(arguments.subspan(1), streams.out);
  SEMSAM_ASSIGN_OR_RETURN(const EvaluateOptions options, ParseEvaluateOptions(arguments));
  return Evaluate(options, factory, streams);
}

}  // namespace

int RunEval(std::span<const std::string> arguments, const SegmenterFactory& factory,
            const EvaluateStreams& streams) {
  const bool scoring = !arguments.empty() && arguments[0] == "score";
  if (AsksForHelp(arguments)) {
    PrintHelp(scoring, streams.out);
    return kOk;
  }
  const absl::Status status = Run(arguments, scoring, factory, streams);
  streams.out.flush();
  if (status.ok() && streams.out.good()) return kOk;
  streams.err << "semsam-eval: "
              << (status.ok() ? "cannot write the output" : std::string(status.message())) << "\n";
  if (!IsUsageError(status)) return kFailed;
  streams.err << "semsam-eval" << (scoring ? " score" : "") << " --help tells the options.\n";
  return kUsage;
}

}  // namespace semsam
