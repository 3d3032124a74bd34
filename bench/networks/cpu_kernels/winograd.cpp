// The transforms of Winograd's convolutions (schemes.h). Images are (N, C, H, W) of float or bfloat16,
// arithmetic is in float; a map of H x W is covered by tiles of S::tile, the last ones reaching into
// zeros. Transformed tiles lie as (S::side^2, tiles of all images, C) in the images' type, so that
// the products between the transforms are as many matrix products.
#include "lanes.h"
#include "schemes.h"

namespace {

struct Shape {
  std::int64_t channels, height, width;
};

// How a scheme covers a map.
template <class S>
struct Tiles {
  std::int64_t down, across;
  explicit Tiles(const Shape& s)
      : down((s.height + S::tile - 1) / S::tile), across((s.width + S::tile - 1) / S::tile) {}
  std::int64_t count() const { return down * across; }
};

// Some rows of one image, pixel by pixel with all channels together, between columns of zeros.
template <class S, class T>
class Strip {
 public:
  Strip(const Shape& shape, int rows, int border)
      : shape_(shape), border_(border), groups_((shape.channels + LANES<T> - 1) / LANES<T>),
        pitch_((S::tile * Tiles<S>(shape).across + 2 * border) * groups_),
        values_(rows * pitch_) {}

  std::int64_t groups() const { return groups_; }
  std::int64_t pitch() const { return pitch_; }
  Vec<T>* at(int row, std::int64_t column) { return values_.data() + row * pitch_ + column * groups_; }

  // Makes the last `count` rows the first.
  void keep(int count) {
    std::copy(values_.end() - count * pitch_, values_.end(), values_.begin());
  }

  // Reads the image's row y; zeros where it has none.
  void read(const T* image, std::int64_t y, int row) {
    if (y < 0 || y >= shape_.height) {
      std::fill_n(at(row, 0), pitch_, Vec<T>{});
      return;
    }
    const std::int64_t plane = shape_.height * shape_.width, wide = groups_ * LANES<T>;
    float* to = reinterpret_cast<float*>(at(row, border_));
    const T* from = image + y * shape_.width;
    for (std::int64_t c = 0; c < shape_.channels; ++c, ++to, from += plane)
      for (std::int64_t x = 0; x < shape_.width; ++x) to[x * wide] = load(from + x);
  }

  // Writes the image's row y, if it has one, adding each channel's bias if there is one.
  void write(T* image, const float* bias, std::int64_t y, int row) {
    if (y >= shape_.height) return;
    const std::int64_t plane = shape_.height * shape_.width, wide = groups_ * LANES<T>;
    const float* from = reinterpret_cast<const float*>(at(row, border_));
    T* to = image + y * shape_.width;
    for (std::int64_t c = 0; c < shape_.channels; ++c, ++from, to += plane) {
      const float shift = bias ? bias[c] : 0.0f;
      for (std::int64_t x = 0; x < shape_.width; ++x) store(to + x, from[x * wide] + shift);
    }
  }

 private:
  Shape shape_;
  int border_;
  std::int64_t groups_, pitch_;
  std::vector<Vec<T>> values_;
};

// Transforms tiles of side `in`, S::tile apart, into S::side^2 values each.
template <class S, int in, class T, class Line>
void scatter(const T* x, T* out, std::int64_t images, const Shape& s, int threads, int border,
             const Line& line) {
  constexpr int kept = in - S::tile;
  const Tiles<S> tiles(s);
  const std::int64_t apart = images * tiles.count() * s.channels;
  for_each(images, threads, [&](std::int64_t n) {
    Strip<S, T> strip(s, in, border);
    const T* image = x + n * s.channels * s.height * s.width;
    T* to = out + n * tiles.count() * s.channels;
    for (std::int64_t i = 0; i < tiles.down; ++i) {
      if (i > 0) strip.keep(kept);
      for (int row = i > 0 ? kept : 0; row < in; ++row)
        strip.read(image, S::tile * i - border + row, row);
      for (std::int64_t j = 0; j < tiles.across; ++j, to += s.channels)
        by_lanes<T>(s.channels, [&](std::int64_t c, int lanes) {
          Vec<T> half[S::side * in], whole[S::side * S::side];
          for (int k = 0; k < in; ++k)
            line(strip.at(0, S::tile * j + k) + c / LANES<T>, strip.pitch(), half + k, in);
          for (int k = 0; k < S::side; ++k) line(half + k * in, 1, whole + S::side * k, 1);
          for (int k = 0; k < S::side * S::side; ++k)
            store_some(to + k * apart + c, whole[k], lanes);
        });
    }
  });
}

template <class S, class T>
void gather(const T* in, const float* bias, T* y, std::int64_t images, const Shape& s,
            int threads) {
  const Tiles<S> tiles(s);
  const std::int64_t apart = images * tiles.count() * s.channels;
  for_each(images, threads, [&](std::int64_t n) {
    Strip<S, T> strip(s, S::tile, 0);
    const T* from = in + n * tiles.count() * s.channels;
    T* image = y + n * s.channels * s.height * s.width;
    for (std::int64_t i = 0; i < tiles.down; ++i) {
      for (std::int64_t j = 0; j < tiles.across; ++j, from += s.channels)
        by_lanes<T>(s.channels, [&](std::int64_t c, int lanes) {
          Vec<T> whole[S::side * S::side], half[S::tile * S::side];
          for (int k = 0; k < S::side * S::side; ++k)
            whole[k] = load_some(from + k * apart + c, lanes);
          for (int k = 0; k < S::side; ++k) S::output(whole + k, S::side, half + k, S::side);
          for (int k = 0; k < S::tile; ++k)
            S::output(half + S::side * k, 1, strip.at(k, S::tile * j) + c / LANES<T>, strip.groups());
        });
      for (int row = 0; row < S::tile; ++row) strip.write(image, bias, S::tile * i + row, row);
    }
  });
}

template <class S, class T>
void weights(const float* w, T* out, std::int64_t outputs, std::int64_t inputs, bool turned,
             int threads) {
  const std::int64_t rows = turned ? outputs : inputs, columns = turned ? inputs : outputs;
  const std::int64_t row_step = turned ? 9 * inputs : 9, lane_step = turned ? 9 : 9 * inputs;
  for_each(rows, threads, [&](std::int64_t row) {
    by_lanes<T>(columns, [&](std::int64_t c, int lanes) {
      Vec<T> kernel[9] = {}, half[3 * S::side], whole[S::side * S::side];
      for (int lane = 0; lane < lanes; ++lane) {
        const float* from = w + row * row_step + (c + lane) * lane_step;
        for (int k = 0; k < 9; ++k) kernel[k][lane] = from[turned ? 8 - k : k];
      }
      for (int k = 0; k < 3; ++k) S::weight(kernel + k, 3, half + k, 3);
      for (int k = 0; k < S::side; ++k) S::weight(half + 3 * k, 1, whole + S::side * k, 1);
      for (int k = 0; k < S::side * S::side; ++k)
        store_some(out + (k * rows + row) * columns + c, whole[k], lanes);
    });
  });
}

template <class S>
void weight_gradients(const float* u, float* w, std::int64_t outputs, std::int64_t inputs,
                      int threads) {
  for_each(inputs, threads, [&](std::int64_t row) {
    by_lanes<float>(outputs, [&](std::int64_t c, int lanes) {
      Vec<float> whole[S::side * S::side], half[3 * S::side], kernel[9];
      for (int k = 0; k < S::side * S::side; ++k)
        whole[k] = load_some(u + (k * inputs + row) * outputs + c, lanes);
      for (int k = 0; k < S::side; ++k)
        S::weight_gradient(whole + k, S::side, half + k, S::side);
      for (int k = 0; k < 3; ++k) S::weight_gradient(half + S::side * k, 1, kernel + 3 * k, 1);
      for (int lane = 0; lane < lanes; ++lane)
        for (int k = 0; k < 9; ++k) w[((c + lane) * inputs + row) * 9 + k] = kernel[k][lane];
    });
  });
}

}  // namespace

// Of each scheme, with V for S::side^2:
// input: x (N, C, H, W) -> (V, N * tiles, C), for a convolution with padding 1.
// gradient: the gradient of output: (N, C, H, W) -> (V, N * tiles, C).
// output: (V, N * tiles, C) -> (N, C, H, W), plus a bias per channel unless that is null.
// weight: kernels (K, C, 3, 3) -> (V, C, K).
// turned_weight: -> (V, K, C), each kernel rotated by half a turn: what the gradient on the input is
// convolved with.
// weight_gradient: the gradient of weight (not turned): float (V, C, K) -> (K, C, 3, 3).
#define WINOGRAD(S, T, NAME)                                                                      \
  extern "C" void winograd_input_##NAME(const T* x, T* out, std::int64_t images,                  \
                                        std::int64_t channels, std::int64_t height,               \
                                        std::int64_t width, int threads) {                        \
    scatter<S, S::side>(x, out, images, {channels, height, width}, threads, 1,                    \
                        S::input<Vec<T>>);                                                        \
  }                                                                                               \
  extern "C" void winograd_gradient_##NAME(const T* y, T* out, std::int64_t images,               \
                                           std::int64_t channels, std::int64_t height,            \
                                           std::int64_t width, int threads) {                     \
    scatter<S, S::tile>(y, out, images, {channels, height, width}, threads, 0,                    \
                        S::gradient<Vec<T>>);                                                     \
  }                                                                                               \
  extern "C" void winograd_output_##NAME(const T* in, const float* bias, T* y,                    \
                                         std::int64_t images, std::int64_t channels,              \
                                         std::int64_t height, std::int64_t width, int threads) {  \
    gather<S>(in, bias, y, images, {channels, height, width}, threads);                           \
  }                                                                                               \
  extern "C" void winograd_weight_##NAME(const float* w, T* out, std::int64_t outputs,            \
                                         std::int64_t inputs, int threads) {                      \
    weights<S>(w, out, outputs, inputs, false, threads);                                          \
  }                                                                                               \
  extern "C" void winograd_turned_weight_##NAME(const float* w, T* out, std::int64_t outputs,     \
                                                std::int64_t inputs, int threads) {               \
    weights<S>(w, out, outputs, inputs, true, threads);                                           \
  }                                                                                               \
  extern "C" void winograd_weight_gradient_##NAME(const float* u, float* w, std::int64_t outputs, \
                                                  std::int64_t inputs, int threads) {             \
    weight_gradients<S>(u, w, outputs, inputs, threads);                                          \
  }

WINOGRAD(F4, float, float32)
WINOGRAD(F2, bf16, bfloat16)
