// Room for "none of these names".
//
// The class heads judge each name by the sigmoid of scale * cos(query, name), without a
// bias. Where the embeddings of names have zero mean, as those of an encoder distilled to
// centred targets, no query is far from all of them at once: every name stays likely, and
// the heads learn to say nothing (the scale falls to where all logits are near zero).
// CLIP's own embeddings have much in common, which serves as a bias. This gives a text
// encoder such a direction.
#ifndef SEMSAM_MODEL_TRAINING_COMMON_DIRECTION_H_
#define SEMSAM_MODEL_TRAINING_COMMON_DIRECTION_H_

#include "absl/status/status.h"
#include "model/training/optimizer.h"

namespace semsam {

// Moves the bias of the encoder's last norm so that all embeddings have one direction in
// common: two names that were unrelated get about the cosine `share` (in 0..1, both
// excluded), and what tells names apart keeps its order. The direction is the one that
// the projection uses least. The scale of the class heads becomes CLIP's start, 1 / 0.07,
// times what the rest of the embeddings shrank by.
//
// `weights` are those of a network under the names of the weight table. Errors:
// INVALID_ARGUMENT for a share out of range and for a network without a text encoder.
// Not for an encoder that has a common direction already. Thread-safe.
absl::Status AddCommonDirection(double share, NamedTensors& weights);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_COMMON_DIRECTION_H_
