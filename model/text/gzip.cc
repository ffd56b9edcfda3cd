#include "model/text/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace semsam {
namespace {

// Of inflateInit2: the largest window, and a gzip header before it.
constexpr int kGzipWindow = 15 + 16;
constexpr size_t kFirstBytes = 65536;

}  // namespace

absl::StatusOr<std::string> Gunzip(std::string_view packed, int64_t max_bytes) {
  constexpr int64_t kMost = std::numeric_limits<uInt>::max();
  if (static_cast<int64_t>(packed.size()) > kMost || max_bytes <= 0 || max_bytes > kMost) {
    return absl::InvalidArgumentError("gzip: too large");
  }
  z_stream stream = {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) {
    return absl::ResourceExhaustedError("gzip: no memory");
  }
  // `max_bytes` guards against what a hostile file would become; most need less.
  std::string out(std::min<size_t>(max_bytes, std::max<size_t>(kFirstBytes, 4 * packed.size())),
                  '\0');
  int result = Z_OK;
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data()) + stream.total_out;
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    result = inflate(&stream, Z_FINISH);
    const bool full = (result == Z_OK || result == Z_BUF_ERROR) && stream.avail_out == 0;
    if (!full || out.size() == static_cast<size_t>(max_bytes)) break;
    out.resize(std::min<size_t>(max_bytes, 2 * out.size()));
  }
  const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
  out.resize(stream.total_out);
  inflateEnd(&stream);
  if (!whole) return absl::DataLossError("gzip: damaged, or larger than allowed");
  return out;
}

}  // namespace semsam
