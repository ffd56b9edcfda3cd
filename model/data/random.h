// Random numbers that are the same on every machine. The standard's engines are
// exact, its distributions are not: two libraries draw different pictures from one
// seed.
#ifndef SEMSAM_MODEL_DATA_RANDOM_H_
#define SEMSAM_MODEL_DATA_RANDOM_H_

#include <cstdint>
#include <span>
#include <utility>

namespace semsam {

// SplitMix64 (Steele, Lea, Flood 2014). Its whole state is one number, so that a
// checkpoint can hold it. Not thread-safe; give each thread, or better each sample,
// one of its own.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  // For the `index`-th of many independent streams of one seed, e.g. a sample of an
  // epoch: what one consumes does not disturb the next.
  static Random ForStream(uint64_t seed, uint64_t index) {
    Random mixer(seed);
    return Random(mixer.Next() ^ Random(index * 0x9E3779B97F4A7C15u + 1).Next());
  }

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), without bias. `bound` is not 0.
  uint64_t Below(uint64_t bound) {
    const uint64_t uneven = (0 - bound) % bound;  // 2^64 mod bound
    uint64_t value = Next();
    while (value < uneven) value = Next();
    return value % bound;
  }

  // Uniform in [0, 1), a multiple of 2^-53.
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // Uniform in [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Unit(); }
  bool Chance(double probability) { return Unit() < probability; }

  template <typename T>
  void Shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

  uint64_t state() const { return state_; }

 private:
  uint64_t state_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_RANDOM_H_
