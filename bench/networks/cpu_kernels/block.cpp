// Instance normalisation, ReLU and 2x2 average pooling in one pass over each map, and its gradient.
// Maps are (N, C, H, W) of float or bfloat16, H and W even; arithmetic is in float. A map stays in
// the first-level cache between the passes that normalisation needs, so memory is read and written
// once: PyTorch's separate operations move it about ten times.
#include "common.h"

#include <cmath>

namespace {

struct Maps {
  std::int64_t channels, height, width;
  std::int64_t size() const { return height * width; }
};

// Copies a map to float and returns its mean and its reciprocal standard deviation.
template <class T>
void standardise(const T* x, std::int64_t size, float eps, float* wide, float& mean, float& scale) {
  float sum = 0.0f, squares = 0.0f;
  for (std::int64_t i = 0; i < size; ++i) {
    wide[i] = load(x + i);
    sum += wide[i];
  }
  mean = sum / float(size);
  for (std::int64_t i = 0; i < size; ++i) {
    const float gap = wide[i] - mean;
    squares += gap * gap;
  }
  scale = 1.0f / std::sqrt(squares / float(size) + eps);
}

// Written so that a NaN stays one.
inline float relu(float v) { return v < 0.0f ? 0.0f : v; }

template <class T>
void forward(const T* x, const float* weight, const float* bias, float eps, T* y, float* means,
             float* scales, std::int64_t images, const Maps& maps, int threads) {
  for_each(images, threads, [&](std::int64_t n) {
    std::vector<float> wide(maps.size()), rows(maps.width);
    for (std::int64_t c = 0; c < maps.channels; ++c) {
      const std::int64_t map = n * maps.channels + c;
      standardise(x + map * maps.size(), maps.size(), eps, wide.data(), means[map], scales[map]);
      const float a = scales[map] * weight[c], b = bias[c] - means[map] * a;
      T* to = y + map * maps.size() / 4;
      for (std::int64_t i = 0; i < maps.height; i += 2, to += maps.width / 2) {
        const float *upper = wide.data() + i * maps.width, *lower = upper + maps.width;
        for (std::int64_t j = 0; j < maps.width; ++j)
          rows[j] = relu(a * upper[j] + b) + relu(a * lower[j] + b);
        for (std::int64_t j = 0; j < maps.width / 2; ++j)
          store(to + j, 0.25f * (rows[2 * j] + rows[2 * j + 1]));
      }
    }
  });
}

// Gives every value of a square a quarter of the square's gradient. Loops over whole maps follow:
// rows are too short for sums in vectors.
template <class T>
void spread(const T* dy, const Maps& maps, float* to) {
  for (std::int64_t i = 0; i < maps.height; i += 2, dy += maps.width / 2, to += 2 * maps.width) {
    for (std::int64_t j = 0; j < maps.width / 2; ++j) to[2 * j] = to[2 * j + 1] = 0.25f * load(dy + j);
    std::copy(to, to + maps.width, to + maps.width);
  }
}

// dweight and dbias are (N, C), to be summed over N.
template <class T>
void backward(const T* dy, const T* x, const float* weight, const float* bias, const float* means,
              const float* scales, T* dx, float* dweight, float* dbias, std::int64_t images,
              const Maps& maps, int threads) {
  for_each(images, threads, [&](std::int64_t n) {
    std::vector<float> unit(maps.size()), slope(maps.size());
    for (std::int64_t c = 0; c < maps.channels; ++c) {
      const std::int64_t map = n * maps.channels + c;
      const T *from = x + map * maps.size(), *above = dy + map * maps.size() / 4;
      const float mean = means[map], scale = scales[map], w = weight[c], b = bias[c];
      spread(above, maps, slope.data());
      float sum = 0.0f, product = 0.0f;
      for (std::int64_t k = 0; k < maps.size(); ++k) {
        const float u = (load(from + k) - mean) * scale;
        const float s = u * w + b <= 0.0f ? 0.0f : slope[k];
        unit[k] = u;
        slope[k] = s;
        sum += s;
        product += s * u;
      }
      dbias[map] = sum;
      dweight[map] = product;
      const float rate = w * scale, size = float(maps.size());
      const float shift = sum / size, tilt = product / size;
      T* to = dx + map * maps.size();
      for (std::int64_t k = 0; k < maps.size(); ++k)
        store(to + k, rate * (slope[k] - shift - unit[k] * tilt));
    }
  });
}

}  // namespace

#define BLOCK(T, NAME)                                                                            \
  extern "C" void block_forward_##NAME(                                                           \
      const T* x, const float* weight, const float* bias, float eps, T* y, float* means,          \
      float* scales, std::int64_t images, std::int64_t channels, std::int64_t height,             \
      std::int64_t width, int threads) {                                                          \
    forward<T>(x, weight, bias, eps, y, means, scales, images, {channels, height, width},         \
               threads);                                                                          \
  }                                                                                               \
  extern "C" void block_backward_##NAME(                                                          \
      const T* dy, const T* x, const float* weight, const float* bias, const float* means,        \
      const float* scales, T* dx, float* dweight, float* dbias, std::int64_t images,              \
      std::int64_t channels, std::int64_t height, std::int64_t width, int threads) {              \
    backward<T>(dy, x, weight, bias, means, scales, dx, dweight, dbias, images,                   \
                {channels, height, width}, threads);                                              \
  }

BLOCK(float, float32)
BLOCK(bf16, bfloat16)
