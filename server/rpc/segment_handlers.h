// The calls that segment and label by clicks. Requests and answers are serialized
// messages of semsam.v1; the reactors own themselves.
#ifndef SEMSAM_SERVER_RPC_SEGMENT_HANDLERS_H_
#define SEMSAM_SERVER_RPC_SEGMENT_HANDLERS_H_

#include <grpcpp/support/server_callback.h>

#include "server/rpc/call_scope.h"

namespace semsam {

// SegmentRequest: one message a mask, then a summary; progress while new words are
// read.
grpc::ServerWriteReactor<grpc::ByteBuffer>* Segment(const RpcParts& parts,
                                                    grpc::CallbackServerContext& context,
                                                    const grpc::ByteBuffer& request);

// SegmentOnceRequest: everything in one answer; RESOURCE_EXHAUSTED if it is larger
// than a message may be.
grpc::ServerUnaryReactor* SegmentOnce(const RpcParts& parts, grpc::CallbackServerContext& context,
                                      const grpc::ByteBuffer& request, grpc::ByteBuffer& response);

// RefreshLabelsRequest.
grpc::ServerUnaryReactor* RefreshLabels(const RpcParts& parts, grpc::CallbackServerContext& context,
                                        const grpc::ByteBuffer& request,
                                        grpc::ByteBuffer& response);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_SEGMENT_HANDLERS_H_
