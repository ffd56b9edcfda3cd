// What gRPC itself has to say, in our log.
#ifndef SEMSAM_SERVER_RPC_GRPC_LOG_H_
#define SEMSAM_SERVER_RPC_GRPC_LOG_H_

namespace semsam {

// From now on lines of gRPC (a failed handshake, say) are events of server/log instead
// of lines of their own on standard error. For a program's main function: gRPC has one
// log a process.
void LogWhatGrpcSays();

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_GRPC_LOG_H_
