// `semsam-train vocabulary`: the words of a recipe's data, into a weight file.
#ifndef SEMSAM_MODEL_TOOLS_TRAIN_VOCABULARY_COMMAND_H_
#define SEMSAM_MODEL_TOOLS_TRAIN_VOCABULARY_COMMAND_H_

#include "model/tools/program/command.h"

namespace semsam {

Command VocabularyCommand();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_TRAIN_VOCABULARY_COMMAND_H_
