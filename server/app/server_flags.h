// The command-line flags that every server program has.
#ifndef SEMSAM_SERVER_APP_SERVER_FLAGS_H_
#define SEMSAM_SERVER_APP_SERVER_FLAGS_H_

#include "server/app/server_options.h"

namespace semsam {

// Call after absl::ParseCommandLine.
ServerOptions OptionsFromFlags();

}  // namespace semsam

#endif  // SEMSAM_SERVER_APP_SERVER_FLAGS_H_
