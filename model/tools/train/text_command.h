// `semsam-train text`: distils the text encoder of the default model.
#ifndef SEMSAM_MODEL_TOOLS_TRAIN_TEXT_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_TRAIN_TEXT_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command TextCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_TRAIN_TEXT_COMMAND_H_
