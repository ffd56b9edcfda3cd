#ifndef SEMSAM_SERVER_RPC_UPLOAD_HANDLER_H_
#define SEMSAM_SERVER_RPC_UPLOAD_HANDLER_H_

#include <grpcpp/support/server_callback.h>

#include "semsam/v1/segmentation_service.pb.h"
#include "server/rpc/call_scope.h"

namespace semsam {

// Takes one image: a header, then chunks; refuses as soon as something is wrong.
// The reactor owns itself.
grpc::ServerReadReactor<v1::UploadImageRequest>* UploadImage(const RpcParts& parts,
                                                             grpc::CallbackServerContext& context,
                                                             v1::UploadImageResponse& response);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_UPLOAD_HANDLER_H_
