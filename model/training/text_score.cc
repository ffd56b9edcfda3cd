#include "model/training/text_score.h"

#include <algorithm>

namespace semsam {
namespace {

constexpr int64_t kRowsAtOnce = 512;
constexpr double kSame = 1 - 1e-5;  // cosine of equal targets
constexpr double kNever = -2;       // less than any cosine

}  // namespace

TextScore ScoreTexts(const at::Tensor& embeddings, const at::Tensor& targets) {
  TextScore score = {.names = targets.size(0)};
  if (score.names < 2) return {};
  const int64_t kept = std::min(kScoreNeighbours, score.names - 1);
  int64_t found = 0;
  for (int64_t begin = 0; begin < score.names; begin += kRowsAtOnce) {
    const int64_t end = std::min(score.names, begin + kRowsAtOnce);
    at::Tensor theirs = at::matmul(targets.slice(0, begin, end), targets.t());
    at::Tensor ours = at::matmul(embeddings.slice(0, begin, end), embeddings.t());
    const at::Tensor same = theirs > kSame;
    theirs.masked_fill_(same, kNever);
    ours.masked_fill_(same, kNever);
    const at::Tensor nearest = theirs.argmax(1, /*keepdim=*/true);
    const at::Tensor candidates = std::get<1>(ours.topk(kept, 1));
    found += (candidates == nearest).sum().item<int64_t>();
  }
  score.cosine = (embeddings * targets).sum(1).mean().item<double>();
  score.neighbours = static_cast<double>(found) / static_cast<double>(score.names);
  return score;
}

}  // namespace semsam
