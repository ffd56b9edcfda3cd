// The flags of a load test.
#ifndef SEMSAM_CLIENT_LOAD_LOAD_FLAGS_H_
#define SEMSAM_CLIENT_LOAD_LOAD_FLAGS_H_

#include <string>
#include <vector>

#include "client/cli/args.h"
#include "client/cli/connection.h"
#include "client/load/grpc_target.h"
#include "client/load/load_plan.h"
#include "client/load/pictures.h"

namespace semsam::load {

struct LoadFlags {
  client::ConnectionFlags connection;
  LoadOptions load;
  PictureOptions pictures;
  GrpcTargetOptions target;  // all but the server, which is in `connection`
  std::string label;
  std::string json_file;  // empty: none is written
  std::string plot_file;
  bool help = false;
};

// `flags` must outlive `parser`. Values are only read; the options' Validate judges them.
void AddLoadFlags(client::ArgParser& parser, LoadFlags& flags);

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_LOAD_FLAGS_H_
