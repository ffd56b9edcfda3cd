// How well a text encoder does on names that it never met.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_SCORE_H_
#define SEMSAM_MODEL_TRAINING_TEXT_SCORE_H_

#include <cstdint>

#include "model/torch/torch.h"

namespace semsam {

struct TextScore {
  int64_t names = 0;
  double cosine = 0;  // of a name's embedding with its target, the mean
  // Share of the names whose nearest other name, by the teacher, is among their
  // kScoreNeighbours nearest by the student. 1 / names times kScoreNeighbours is chance.
  double neighbours = 0;
};

inline constexpr int64_t kScoreNeighbours = 5;

// embeddings and targets [N, D] float32 of norm 1. Names whose targets are equal (plurals)
// are no neighbours of each other. Memory grows with N. Zeroes for fewer than two names.
TextScore ScoreTexts(const at::Tensor& embeddings, const at::Tensor& targets);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_SCORE_H_
