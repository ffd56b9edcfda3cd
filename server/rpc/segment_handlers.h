#ifndef SEMSAM_SERVER_RPC_SEGMENT_HANDLERS_H_
#define SEMSAM_SERVER_RPC_SEGMENT_HANDLERS_H_

#include <grpcpp/support/server_callback.h>

#include "semsam/v1/segmentation_service.pb.h"
#include "server/rpc/call_scope.h"

namespace semsam {

// One message a mask, then a summary. At most one write is outstanding; a client
// that reads slowly pauses the call, one that left cancels it. The reactor owns
// itself.
grpc::ServerWriteReactor<v1::SegmentResponse>* Segment(const RpcParts& parts,
                                                       grpc::CallbackServerContext& context,
                                                       const v1::SegmentRequest& request);

// Everything in one answer; RESOURCE_EXHAUSTED if it is larger than a message may
// be. The reactor owns itself.
grpc::ServerUnaryReactor* SegmentOnce(const RpcParts& parts, grpc::CallbackServerContext& context,
                                      const v1::SegmentOnceRequest& request,
                                      v1::SegmentOnceResponse& response);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_SEGMENT_HANDLERS_H_
