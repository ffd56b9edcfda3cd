// `semsam-inspect dump`: features and prompt outputs as NumPy files, for people
// who compare numerics.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_DUMP_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_DUMP_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command DumpCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_DUMP_COMMAND_H_
