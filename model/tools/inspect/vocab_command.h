#ifndef SEMSAM_MODEL_TOOLS_INSPECT_VOCAB_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_VOCAB_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

// Every stage of a vocabulary run on one image as NumPy files, with results.json.
Command VocabCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_VOCAB_COMMAND_H_
