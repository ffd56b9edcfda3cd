// `semsam-train run`: trains a model by a recipe.
#ifndef SEMSAM_MODEL_TOOLS_TRAIN_RUN_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_TRAIN_RUN_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command RunCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_TRAIN_RUN_COMMAND_H_
