// Vectors of channels: float for arithmetic, whatever the type in memory.
#pragma once

#include "common.h"

// As many channels at once as a cache line holds of a matrix: lines are written whole.
template <class T>
constexpr int LANES = 64 / sizeof(T);
template <class T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float Vec __attribute__((vector_size(LANES<float> * sizeof(float))));
};
template <>
struct Lanes<bf16> {
  typedef float Vec __attribute__((vector_size(LANES<bf16> * sizeof(float))));
};
template <class T>
using Vec = typename Lanes<T>::Vec;

inline Vec<float> load_lanes(const float* p) {
  Vec<float> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store_lanes(float* p, const Vec<float>& v) { std::memcpy(p, &v, sizeof v); }

typedef std::uint32_t Words __attribute__((vector_size(LANES<bf16> * sizeof(std::uint32_t))));
typedef std::uint16_t Halves __attribute__((vector_size(LANES<bf16> * sizeof(std::uint16_t))));

inline Vec<bf16> load_lanes(const bf16* p) {
  Halves halves;
  std::memcpy(&halves, p, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  Vec<bf16> v;
  std::memcpy(&v, &words, sizeof v);
  return v;
}

// Rounds as store() does.
inline void store_lanes(bf16* p, const Vec<bf16>& v) {
  Words words;
  std::memcpy(&words, &v, sizeof words);
  words = (words + 0x7fff + ((words >> 16) & 1)) >> 16;
  const Halves halves = __builtin_convertvector(words, Halves);
  std::memcpy(p, &halves, sizeof halves);
}

// The first `lanes` of a vector; zeros after them.
template <class T>
Vec<T> load_some(const T* p, int lanes) {
  if (lanes == LANES<T>) return load_lanes(p);
  Vec<T> v = {};
  for (int lane = 0; lane < lanes; ++lane) v[lane] = load(p + lane);
  return v;
}

template <class T>
void store_some(T* p, const Vec<T>& v, int lanes) {
  if (lanes == LANES<T>) return store_lanes(p, v);
  for (int lane = 0; lane < lanes; ++lane) store(p + lane, v[lane]);
}

// Calls body(first channel, how many) for every vector of channels.
template <class T, class Body>
void by_lanes(std::int64_t channels, const Body& body) {
  for (std::int64_t c = 0; c < channels; c += LANES<T>)
    body(c, int(std::min<std::int64_t>(LANES<T>, channels - c)));
}
