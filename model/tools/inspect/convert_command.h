// `semsam-inspect convert`: any weight file into our safetensors.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_CONVERT_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_CONVERT_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command ConvertCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_CONVERT_COMMAND_H_
