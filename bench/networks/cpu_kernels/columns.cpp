// Lays out what every output of a convolution sees as a column ("im2col").
#include "common.h"

namespace {

// Copies a row of a map, moved left by `by`, and fills up with zeros.
template <class T>
void move_row(const T* from, std::int64_t width, std::int64_t by, T* to, std::int64_t outputs) {
  const std::int64_t first = std::clamp<std::int64_t>(-by, 0, outputs);
  const std::int64_t last = std::clamp<std::int64_t>(width - by, first, outputs);
  std::fill_n(to, first, T{});
  std::copy(from + first + by, from + last + by, to + first);
  std::fill_n(to + last, outputs - last, T{});
}

// x (N, C, H, W) -> (N, C * high * wide, outputs down * across), and with `ones` a row of ones below.
template <class T>
void columns(const T* x, T* out, std::int64_t images, std::int64_t channels, std::int64_t height,
             std::int64_t width, std::int64_t high, std::int64_t wide, std::int64_t above,
             std::int64_t left, int ones, int threads) {
  const std::int64_t down = height + 2 * above - high + 1, across = width + 2 * left - wide + 1;
  const std::int64_t rows = channels * high * wide + (ones ? 1 : 0);
  for_each(images, threads, [&](std::int64_t n) {
    T* to = out + n * rows * down * across;
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t v = 0; v < high; ++v)
        for (std::int64_t u = 0; u < wide; ++u)
          for (std::int64_t i = 0; i < down; ++i, to += across) {
            const std::int64_t y = i + v - above;
            if (y < 0 || y >= height)
              std::fill_n(to, across, T{});
            else
              move_row(x + ((n * channels + c) * height + y) * width, width, u - left, to, across);
          }
    for (std::int64_t i = 0; ones && i < down * across; ++i) store(to + i, 1.0f);
  });
}

}  // namespace

#define COLUMNS(T, NAME)                                                                          \
  extern "C" void columns_##NAME(const T* x, T* out, std::int64_t images, std::int64_t channels,  \
                                 std::int64_t height, std::int64_t width, std::int64_t high,      \
                                 std::int64_t wide, std::int64_t above, std::int64_t left,        \
                                 int ones, int threads) {                                         \
    columns(x, out, images, channels, height, width, high, wide, above, left, ones, threads);     \
  }

COLUMNS(float, float32)
COLUMNS(bf16, bfloat16)
