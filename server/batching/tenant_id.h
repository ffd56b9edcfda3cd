// Whose work it is.
#ifndef SEMSAM_SERVER_BATCHING_TENANT_ID_H_
#define SEMSAM_SERVER_BATCHING_TENANT_ID_H_

#include <string>

namespace semsam {

// Tenants see nothing of each other: sessions and embeddings belong to one, and the
// session of another is as good as unknown. A type of its own, so that no session or
// image id is taken for it.
struct TenantId {
  std::string name;  // empty: the one tenant of a server that tells none apart

  friend bool operator==(const TenantId&, const TenantId&) = default;
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_BATCHING_TENANT_ID_H_
