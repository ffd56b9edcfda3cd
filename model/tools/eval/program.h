// The program semsam-eval but for main, so that tests can run it.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_PROGRAM_H_
#define SEMSAM_MODEL_TOOLS_EVAL_PROGRAM_H_

#include <span>
#include <string>

#include "model/tools/eval/evaluate.h"

namespace semsam {

// Runs as the arguments (without the program's name) ask and returns the exit code: 0, 1
// after an error, 2 after a wrong command line.
int RunEval(std::span<const std::string> arguments, const SegmenterFactory& factory,
            const EvaluateStreams& streams);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_PROGRAM_H_
