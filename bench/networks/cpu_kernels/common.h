// What the kernels share: element types and a loop over images that threads divide.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

// bfloat16 as stored; arithmetic is in float.
struct bf16 {
  std::uint16_t bits;
};

inline float load(const float* p) { return *p; }
inline void store(float* p, float v) { *p = v; }

inline float load(const bf16* p) {
  const std::uint32_t wide = std::uint32_t(p->bits) << 16;
  float v;
  std::memcpy(&v, &wide, sizeof v);
  return v;
}

// Rounds to nearest, ties to even; a NaN stays one as long as its upper half says so.
inline void store(bf16* p, float v) {
  std::uint32_t wide;
  std::memcpy(&wide, &v, sizeof wide);
  p->bits = std::uint16_t((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}

// Calls body(i) for i in [0, count), in contiguous runs, one per thread. Every i writes its own
// part of the output, so the number of threads changes no result.
template <class Body>
void for_each(std::int64_t count, int threads, const Body& body) {
  const auto run = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) body(i);
  };
  const std::int64_t parts = std::min<std::int64_t>(std::max(threads, 1), count);
  std::vector<std::thread> others;
  for (std::int64_t t = 1; t < parts; ++t)
    others.emplace_back(run, count * t / parts, count * (t + 1) / parts);
  if (count > 0) run(0, count / std::max<std::int64_t>(parts, 1));
  for (auto& other : others) other.join();
}
