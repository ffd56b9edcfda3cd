// `semsam-inspect show`: what a weight file holds.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_SHOW_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_SHOW_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command ShowCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_SHOW_COMMAND_H_
