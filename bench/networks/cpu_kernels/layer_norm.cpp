// The second derivative of layer normalisation over all maps of an image. An image is a row of values
// x; u = (x - mean) * scale are its standardised values, and y = weight * u + bias. Rows are float or
// bfloat16 and arithmetic is in float; a row has hundreds of thousands of values, so sums over it are
// of runs in float, added up in double. Rows are read twice: PyTorch's own operations read and write
// them about twenty times.
#include "common.h"

#include <array>

namespace {

// Values of a row whose sums stay in float, and that one thread does for all rows.
constexpr std::int64_t RUN = 1024;

template <int K, class Add>
std::array<double, K> summed(std::int64_t size, const Add& add) {
  std::array<double, K> total{};
  for (std::int64_t first = 0; first < size; first += RUN) {
    const std::array<float, K> part = add(first, std::min(size, first + RUN));
    for (int k = 0; k < K; ++k) total[k] += part[k];
  }
  return total;
}

// Calls body(first, last) for every run. Each writes its own part of sums over rows.
template <class Body>
void for_each_run(std::int64_t size, int threads, const Body& body) {
  for_each((size + RUN - 1) / RUN, threads, [&](std::int64_t run) {
    body(run * RUN, std::min(size, (run + 1) * RUN));
  });
}

// The gradient of <h, dx> on dy, x and weight, where dx is the gradient on x for a gradient dy on y.
// With g = weight * dy and P(v) = v - mean(v) - u * mean(u * v), dx = scale * P(g). As x moves, u
// moves by scale * P, and scale by -scale^2 * mean(u * .), so that
//   on dy      weight * scale * P(h)
//   on weight  the sum over rows of dy * scale * P(h)
//   on x       -scale * <h, dx> / size * u - scale^2 * (mean(g * u) * P(h) + mean(h * u) * P(g)).
template <class T>
void second(const T* h, const T* dy, const T* x, const float* weight, const float* means,
            const float* scales, T* on_dy, T* on_x, float* on_weight, std::int64_t rows,
            std::int64_t size, int threads) {
  struct Means {
    float h, g, hu, gu, product;
  };
  std::vector<Means> found(rows);
  for_each(rows, threads, [&](std::int64_t n) {
    const T *from = x + n * size, *above = dy + n * size, *onto = h + n * size;
    const float mean = means[n], scale = scales[n];
    const auto sums = summed<5>(size, [&](std::int64_t first, std::int64_t last) {
      float all_h = 0.0f, all_g = 0.0f, hu = 0.0f, gu = 0.0f, hg = 0.0f;
      for (std::int64_t i = first; i < last; ++i) {
        const float g = weight[i] * load(above + i), k = load(onto + i);
        const float u = (load(from + i) - mean) * scale;
        all_h += k;
        all_g += g;
        hu += k * u;
        gu += g * u;
        hg += k * g;
      }
      return std::array<float, 5>{all_h, all_g, hu, gu, hg};
    });
    std::array<double, 5> part = sums;
    for (double& each : part) each /= double(size);
    const double product = scale * (part[4] - part[0] * part[1] - part[2] * part[3]);
    found[n] = {float(part[0]), float(part[1]), float(part[2]), float(part[3]), float(product)};
  });
  for_each_run(size, threads, [&](std::int64_t first, std::int64_t last) {
    float products[RUN] = {};
    for (std::int64_t n = 0; n < rows; ++n) {
      const T *from = x + n * size + first, *above = dy + n * size + first;
      const T* onto = h + n * size + first;
      T *to_dy = on_dy + n * size + first, *to_x = on_x + n * size + first;
      const float *w = weight + first, mean = means[n], scale = scales[n];
      const Means m = found[n];
      for (std::int64_t i = 0; i < last - first; ++i) {
        const float s = load(above + i), u = (load(from + i) - mean) * scale;
        const float of_h = load(onto + i) - m.h - u * m.hu, of_g = w[i] * s - m.g - u * m.gu;
        products[i] += s * scale * of_h;
        store(to_dy + i, w[i] * scale * of_h);
        store(to_x + i, -scale * (m.product * u + scale * (m.gu * of_h + m.hu * of_g)));
      }
    }
    if (on_weight) std::copy(products, products + (last - first), on_weight + first);
  });
}

}  // namespace

#define LAYER_NORM(T, NAME)                                                                       \
  extern "C" void layer_norm_second_##NAME(                                                       \
      const T* h, const T* dy, const T* x, const float* weight, const float* means,               \
      const float* scales, T* on_dy, T* on_x, float* on_weight, std::int64_t rows,                \
      std::int64_t size, int threads) {                                                           \
    second<T>(h, dy, x, weight, means, scales, on_dy, on_x, on_weight, rows, size, threads);      \
  }

LAYER_NORM(float, float32)
LAYER_NORM(bf16, bfloat16)
