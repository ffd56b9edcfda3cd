#include "server/app/server_flags.h"

#include "server/app/flags/topics.h"

namespace semsam {

ServerOptions OptionsFromFlags() {
  ServerOptions options;
  ReadEdgeFlags(options);
  ReadEngineFlags(options);
  ReadCacheFlags(options);
  ReadLimitFlags(options);
  return options;
}

}  // namespace semsam
