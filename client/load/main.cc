// semsam-load: puts a Semsam server under load and measures what users would see.
#include <iostream>
#include <string>
#include <vector>

#include "client/load/program.h"

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
  return semsam::load::RunProgram(args, std::cout, std::cerr);
}
