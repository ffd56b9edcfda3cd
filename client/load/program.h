// The program semsam-load, apart from main() so that tests can call it.
#ifndef SEMSAM_CLIENT_LOAD_PROGRAM_H_
#define SEMSAM_CLIENT_LOAD_PROGRAM_H_

#include <ostream>
#include <string>
#include <vector>

namespace semsam::load {

// `args` without the program's name. Results go to `out`, notes and errors to `err`.
// Returns the exit code: 0, or 1 after an error, which a run without a single answer
// is too.
int RunProgram(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_PROGRAM_H_
