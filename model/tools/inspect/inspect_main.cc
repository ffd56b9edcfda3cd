// semsam-inspect: looks into weight files and converts them.
#include <iostream>
#include <string>
#include <vector>

#include "model/tools/inspect/command.h"
#include "model/tools/inspect/convert_command.h"
#include "model/tools/inspect/show_command.h"

int main(int argc, char** argv) {
  const semsam::Command commands[] = {semsam::ShowCommand(), semsam::ConvertCommand()};
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return semsam::RunInspect(commands, arguments, std::cout, std::cerr);
}
