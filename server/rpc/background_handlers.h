// The calls that take long. Requests and answers are serialized messages of
// semsam.v1; the reactors own themselves.
#ifndef SEMSAM_SERVER_RPC_BACKGROUND_HANDLERS_H_
#define SEMSAM_SERVER_RPC_BACKGROUND_HANDLERS_H_

#include <grpcpp/support/server_callback.h>

#include "server/rpc/call_scope.h"

namespace semsam {

// SegmentVocabularyRequest: progress, segments, the panoptic map, a summary.
grpc::ServerWriteReactor<grpc::ByteBuffer>* SegmentVocabulary(const RpcParts& parts,
                                                              grpc::CallbackServerContext& context,
                                                              const grpc::ByteBuffer& request);

// GenerateMasksRequest: progress, masks, a summary.
grpc::ServerWriteReactor<grpc::ByteBuffer>* GenerateMasks(const RpcParts& parts,
                                                          grpc::CallbackServerContext& context,
                                                          const grpc::ByteBuffer& request);

}  // namespace semsam

#endif  // SEMSAM_SERVER_RPC_BACKGROUND_HANDLERS_H_
