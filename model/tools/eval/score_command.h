// semsam-eval score: files of predictions against files of truths, without a model.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_SCORE_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_EVAL_SCORE_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command ScoreCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_SCORE_COMMAND_H_
