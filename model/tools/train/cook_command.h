// `semsam-train cook`: makes packs to train on from what no reader takes as it is.
#ifndef SEMSAM_MODEL_TOOLS_TRAIN_COOK_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_TRAIN_COOK_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command CookCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_TRAIN_COOK_COMMAND_H_
