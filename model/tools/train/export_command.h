// `semsam-train export`: the weights of a training that has not ended.
#ifndef SEMSAM_MODEL_TOOLS_TRAIN_EXPORT_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_TRAIN_EXPORT_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command ExportCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_TRAIN_EXPORT_COMMAND_H_
