#include "model/text/byte_pairs.h"

#include <functional>
#include <queue>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/text/take_line.h"

namespace semsam {
namespace {

constexpr int32_t kBytes = 256;
constexpr std::string_view kWordEnd = "</w>";

// Bytes that are shown as the character of their number, in the order of ids.
bool IsShownAsItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// The vocabulary file shows a byte as one character of UTF-8: itself, or one from
// 0x100 on.
std::string ShownByte(int number) {
  if (number < 0x80) return std::string(1, static_cast<char>(number));
  return {static_cast<char>(0xC0 | (number >> 6)), static_cast<char>(0x80 | (number & 0x3F))};
}

}  // namespace

// A piece of the word that is being encoded; pieces form a list.
struct BytePairs::Piece {
  int32_t id;  // -1: joined to the piece before
  int32_t previous;
  int32_t next;
};

BytePairs::BytePairs() : byte_ids_{} {
  int32_t id = 0;
  for (const bool itself : {true, false}) {
    for (int byte = 0; byte < kBytes; ++byte) {
      if (IsShownAsItself(byte) == itself) byte_ids_[byte] = id++;
    }
  }
}

absl::StatusOr<BytePairs> BytePairs::Parse(std::string_view vocabulary, int merges) {
  BytePairs result;
  // Only while reading: the pieces by how the file shows them.
  std::unordered_map<std::string, int32_t> known;
  int hidden = kBytes;
  for (const bool itself : {true, false}) {
    for (int byte = 0; byte < kBytes; ++byte) {
      if (IsShownAsItself(byte) != itself) continue;
      const std::string shown = ShownByte(itself ? byte : hidden++);
      known.emplace(shown, result.byte_ids_[byte]);
      known.emplace(absl::StrCat(shown, std::string(kWordEnd)), result.byte_ids_[byte] + kBytes);
    }
  }
  TakeLine(vocabulary);  // the heading
  result.size_ = 2 * kBytes;
  for (int i = 0; i < merges; ++i) {
    const std::string line(TakeLine(vocabulary));
    const size_t space = line.find(' ');
    const auto left = known.find(line.substr(0, space));
    const auto right =
        space == std::string::npos ? known.end() : known.find(line.substr(space + 1));
    if (left == known.end() || right == known.end()) {
      return absl::DataLossError(absl::StrCat("byte pairs: merge ", i + 1, " is damaged"));
    }
    result.pairs_.emplace(PairKey(left->second, right->second), result.size_);
    known.emplace(left->first + right->first, result.size_++);
  }
  return result;
}

int32_t BytePairs::Joined(int32_t left, int32_t right) const {
  const auto found = pairs_.find(PairKey(left, right));
  return found == pairs_.end() ? -1 : found->second;
}

void BytePairs::Encode(std::string_view word, std::vector<int32_t>& ids) const {
  const auto count = static_cast<int32_t>(word.size());
  std::vector<Piece> pieces;
  pieces.reserve(word.size());
  for (int32_t i = 0; i < count; ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(word[static_cast<size_t>(i)])];
    pieces.push_back({i + 1 < count ? id : id + kBytes, i - 1, i + 1 < count ? i + 1 : -1});
  }
  // Candidates by rank, then place; one whose pieces have changed since is passed
  // over. Every join adds two at most, so there are 3n in all.
  using Candidate = std::tuple<int32_t, int32_t, int32_t, int32_t>;  // joined, place, left, right
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](int32_t at) {
    if (at < 0 || pieces[at].next < 0) return;
    const int32_t left = pieces[at].id, right = pieces[pieces[at].next].id;
    if (const int32_t joined = Joined(left, right); joined >= 0) {
      candidates.emplace(joined, at, left, right);
    }
  };
  for (int32_t i = 0; i < count; ++i) consider(i);
  while (!candidates.empty()) {
    const auto [joined, at, left, right] = candidates.top();
    candidates.pop();
    Piece& piece = pieces[at];
    if (piece.id != left || piece.next < 0 || pieces[piece.next].id != right) continue;
    Piece& taken = pieces[piece.next];
    piece.id = joined;
    piece.next = std::exchange(taken.next, -1);
    taken.id = -1;
    if (piece.next >= 0) pieces[piece.next].previous = at;
    consider(piece.previous);
    consider(at);
  }
  for (int32_t i = count > 0 ? 0 : -1; i >= 0; i = pieces[i].next) ids.push_back(pieces[i].id);
}

}  // namespace semsam
