// Arithmetic of the network, in GFLOP of 2 x multiply-adds (performance notes).
#ifndef SEMSAM_MODEL_TOOLS_BENCH_FLOP_H_
#define SEMSAM_MODEL_TOOLS_BENCH_FLOP_H_

#include "model/base/model_config.h"

namespace semsam::bench {

// Of an encode; sides in pixels.
double EncodeGflop(const ModelConfig& config, double height, double width);

// Of `clicks` isolated clicks over raw memory; `grid` pixels of a mask.
double ClickGflop(const ModelConfig& config, double grid, int clicks);

// Of `clicks` clicks over projected values, the projection of `tokens` rows of memory
// included; `group` clicks attend to each other.
double EverythingGflop(const ModelConfig& config, double grid, double tokens, int clicks,
                       int group);

}  // namespace semsam::bench

#endif  // SEMSAM_MODEL_TOOLS_BENCH_FLOP_H_
