#include <cuda_runtime.h>

#include "model/ops/cuda/level_sampling.h"

namespace semsam::ops::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffu;

// One sample: the pixels around it, in the order (y, x), (y, x+1), (y+1, x),
// (y+1, x+1); a row of -1 is outside of the map.
template <typename T>
struct Spot {
  int64_t row[4];
  T along[2];  // bilinear shares by x and by y
  T down[2];
};

// u and v in 0..1 of the map. False: far outside, or not a number.
template <typename T>
__device__ bool FindSpot(const cpu::PyramidLevel& level, T u, T v, Spot<T>* spot) {
  const T x = u * static_cast<T>(level.width) - static_cast<T>(0.5);
  const T y = v * static_cast<T>(level.height) - static_cast<T>(0.5);
  if (!(x > -1 && y > -1 && x < level.width && y < level.height)) return false;
  const T fx = floor(x);
  const T fy = floor(y);
  spot->along[0] = 1 - (x - fx);
  spot->along[1] = x - fx;
  spot->down[0] = 1 - (y - fy);
  spot->down[1] = y - fy;
  for (int c = 0; c < 4; ++c) {
    const int64_t xi = static_cast<int64_t>(fx) + (c & 1);
    const int64_t yi = static_cast<int64_t>(fy) + (c >> 1);
    const bool inside = xi >= 0 && yi >= 0 && xi < level.width && yi < level.height;
    spot->row[c] = inside ? level.start + yi * level.width + xi : -1;
  }
  return true;
}

// A thread a channel of the output: neighbours read neighbours, and the threads of
// one head share its places.
template <typename T>
__global__ void Forward(cpu::LevelSamplingArgs<T> args, T* out, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const int samples = args.levels * args.points;
  const int64_t index = i / args.head_dim;  // (image * queries + query) * heads + head
  const int64_t image = index / (args.queries * args.heads);
  const int64_t stride = args.heads * args.head_dim;
  const T* base = args.values + image * args.tokens * stride + index % args.heads * args.head_dim +
                  i % args.head_dim;
  T sum = 0;
  for (int s = 0; s < samples; ++s) {
    const int64_t sample = index * samples + s;
    Spot<T> spot;
    if (!FindSpot(args.level[s / args.points], args.locations[2 * sample],
                  args.locations[2 * sample + 1], &spot)) {
      continue;
    }
    T value = 0;
    for (int c = 0; c < 4; ++c) {
      if (spot.row[c] < 0) continue;
      value += spot.along[c & 1] * spot.down[c >> 1] * base[spot.row[c] * stride];
    }
    sum += args.weights[sample] * value;
  }
  out[i] = sum;
}

template <typename T>
__device__ T WarpSum(T value) {
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, step);
  }
  return value;
}

// A warp a head of a query, its lanes over the channels.
template <typename T>
__global__ void Backward(cpu::LevelSamplingArgs<T> args, cpu::LevelSamplingGrads<T> grads,
                         int64_t count) {
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int lane = threadIdx.x % kWarp;
  if (index >= count) return;  // all lanes of a warp alike
  const int samples = args.levels * args.points;
  const int64_t image = index / (args.queries * args.heads);
  const int64_t stride = args.heads * args.head_dim;
  const int64_t base = image * args.tokens * stride + index % args.heads * args.head_dim;
  const T* grad = grads.out + index * args.head_dim;
  for (int s = 0; s < samples; ++s) {
    const int64_t sample = index * samples + s;
    const cpu::PyramidLevel& level = args.level[s / args.points];
    const T attention = args.weights[sample];
    Spot<T> spot;
    T value = 0, by_x = 0, by_y = 0;
    if (FindSpot(level, args.locations[2 * sample], args.locations[2 * sample + 1], &spot)) {
      for (int c = 0; c < 4; ++c) {
        if (spot.row[c] < 0) continue;
        const T along = spot.along[c & 1];
        const T down = spot.down[c >> 1];
        T dot = 0;
        for (int64_t d = lane; d < args.head_dim; d += kWarp) {
          const int64_t place = base + spot.row[c] * stride + d;
          dot += args.values[place] * grad[d];
          atomicAdd(grads.values + place, attention * along * down * grad[d]);
        }
        value += along * down * dot;
        by_x += (c & 1) != 0 ? down * dot : -down * dot;
        by_y += (c >> 1) != 0 ? along * dot : -along * dot;
      }
    }
    value = WarpSum(value);
    by_x = WarpSum(by_x);
    by_y = WarpSum(by_y);
    if (lane == 0) {
      grads.weights[sample] = value;
      grads.locations[2 * sample] = attention * by_x * static_cast<T>(level.width);
      grads.locations[2 * sample + 1] = attention * by_y * static_cast<T>(level.height);
    }
  }
}

const char* LaunchError() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

unsigned Blocks(int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

template <typename T>
const char* LaunchForward(const cpu::LevelSamplingArgs<T>& args, T* out, int64_t batch,
                          void* stream) {
  const int64_t count = batch * args.queries * args.heads * args.head_dim;
  if (count == 0) return nullptr;
  Forward<T><<<Blocks(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(args, out, count);
  return LaunchError();
}

template <typename T>
const char* LaunchBackward(const cpu::LevelSamplingArgs<T>& args,
                           const cpu::LevelSamplingGrads<T>& grads, int64_t batch, void* stream) {
  const int64_t count = batch * args.queries * args.heads;
  if (count == 0) return nullptr;
  Backward<T><<<Blocks(count * kWarp), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      args, grads, count);
  return LaunchError();
}

}  // namespace

const char* SampleLevels(const cpu::LevelSamplingArgs<float>& args, float* out, int64_t batch,
                         void* stream) {
  return LaunchForward(args, out, batch, stream);
}
const char* SampleLevels(const cpu::LevelSamplingArgs<double>& args, double* out, int64_t batch,
                         void* stream) {
  return LaunchForward(args, out, batch, stream);
}

const char* SampleLevelsBackward(const cpu::LevelSamplingArgs<float>& args,
                                 const cpu::LevelSamplingGrads<float>& grads, int64_t batch,
                                 void* stream) {
  return LaunchBackward(args, grads, batch, stream);
}
const char* SampleLevelsBackward(const cpu::LevelSamplingArgs<double>& args,
                                 const cpu::LevelSamplingGrads<double>& grads, int64_t batch,
                                 void* stream) {
  return LaunchBackward(args, grads, batch, stream);
}

}  // namespace semsam::ops::cuda
