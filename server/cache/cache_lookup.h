// How a look into a cache ended.
#ifndef SEMSAM_SERVER_CACHE_CACHE_LOOKUP_H_
#define SEMSAM_SERVER_CACHE_CACHE_LOOKUP_H_

namespace semsam {

enum class CacheLookup {
  kHit,
  kJoined,  // missed at first, and made for somebody else meanwhile
  kMiss,
};

}  // namespace semsam

#endif  // SEMSAM_SERVER_CACHE_CACHE_LOOKUP_H_
