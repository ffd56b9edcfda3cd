// semsam-inspect tokens: what the tokenizer makes of texts.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_TOKENS_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_TOKENS_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command TokensCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_TOKENS_COMMAND_H_
