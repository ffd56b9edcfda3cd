// semsam-train: everything that leads to a weight file.
#include <iostream>
#include <string>
#include <vector>

#include "model/tools/program/command.h"
#include "model/tools/train/cook_command.h"
#include "model/tools/train/export_command.h"
#include "model/tools/train/run_command.h"
#include "model/tools/train/text_command.h"
#include "model/tools/train/vocabulary_command.h"

int main(int argc, char** argv) {
  // A line each, in the order of the overview.
  const semsam::Command commands[] = {
      semsam::CookCommand(), semsam::RunCommand(),        semsam::ExportCommand(),
      semsam::TextCommand(), semsam::VocabularyCommand(),
  };
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return semsam::RunProgram("semsam-train", commands, arguments, std::cout, std::cerr);
}
