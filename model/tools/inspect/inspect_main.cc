// semsam-inspect: looks into weight files, converts them, and shows what a model
// computes.
#include <iostream>
#include <string>
#include <vector>

#include "model/tools/inspect/convert_command.h"
#include "model/tools/inspect/show_command.h"
#include "model/tools/inspect/tokens_command.h"
#include "model/tools/program/command.h"
#ifdef SEMSAM_WITH_TORCH
#include "model/tools/inspect/dump_command.h"
#include "model/tools/inspect/vocab_command.h"
#endif

int main(int argc, char** argv) {
  const semsam::Command commands[] = {
      semsam::ShowCommand(), semsam::ConvertCommand(), semsam::TokensCommand(),
#ifdef SEMSAM_WITH_TORCH
      semsam::DumpCommand(), semsam::VocabCommand(),
#endif
  };
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return semsam::RunProgram("semsam-inspect", commands, arguments, std::cout, std::cerr);
}
