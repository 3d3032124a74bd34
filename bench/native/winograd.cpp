// The transforms of Winograd's convolution F(4x4, 3x3): A. Lavin and S. Gray, "Fast Algorithms for
// Convolutional Neural Networks", CVPR 2016, section 4.3. Images are float (N, C, H, W); a map of
// H x W is covered by ceil(H/4) x ceil(W/4) tiles, the last ones reaching into zeros. Transformed
// tiles lie as (36, tiles of all images, C), so that the products between the transforms are 36
// matrix products.
#include "common.h"

namespace {

constexpr int LANES = 16;  // channels at once
typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));

struct Shape {
  std::int64_t channels, height, width;
  std::int64_t down() const { return (height + 3) / 4; }
  std::int64_t across() const { return (width + 3) / 4; }
  std::int64_t tiles() const { return down() * across(); }
};

// Up to LANES channels of one image, pixel by pixel, within a frame of `border` zeros.
class Block {
 public:
  Block(const Shape& shape, int border)
      : shape_(shape), border_(border), pitch_(4 * shape.across() + 2 * border),
        pixels_((4 * shape.down() + 2 * border) * pitch_) {}

  Vec* at(std::int64_t row, std::int64_t column) {
    return pixels_.data() + row * pitch_ + column;
  }
  std::int64_t pitch() const { return pitch_; }

  // Reads `lanes` channels that start at `image`.
  void read(const float* image, int lanes) {
    const std::int64_t plane = shape_.height * shape_.width;
    for (std::int64_t row = 0; row < shape_.height; ++row) {
      float* to = reinterpret_cast<float*>(at(row + border_, border_));
      const float* from = image + row * shape_.width;
      for (std::int64_t column = 0; column < shape_.width; ++column, to += LANES, ++from)
        for (int lane = 0; lane < lanes; ++lane) to[lane] = from[lane * plane];
    }
  }

  // Writes `lanes` channels, adding each channel's bias if there is one.
  void write(float* image, const float* bias, int lanes) {
    const std::int64_t plane = shape_.height * shape_.width;
    for (int lane = 0; lane < lanes; ++lane) {
      const float shift = bias ? bias[lane] : 0.0f;
      for (std::int64_t row = 0; row < shape_.height; ++row) {
        const float* from = reinterpret_cast<const float*>(at(row + border_, border_)) + lane;
        float* to = image + lane * plane + row * shape_.width;
        for (std::int64_t column = 0; column < shape_.width; ++column)
          to[column] = from[column * LANES] + shift;
      }
    }
  }

 private:
  Shape shape_;
  int border_;
  std::int64_t pitch_;
  std::vector<Vec> pixels_;
};

Vec load_vec(const float* p, int lanes) {
  Vec v = {};
  std::memcpy(&v, p, lanes * sizeof(float));
  return v;
}

void store_vec(float* p, const Vec& v, int lanes) {
  if (lanes == LANES)
    std::memcpy(p, &v, sizeof v);
  else
    std::memcpy(p, &v, lanes * sizeof(float));
}

// B' d, for a column or a row of six.
inline void input_line(const Vec* d, std::int64_t step, Vec* out, std::int64_t to) {
  const Vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
            d5 = d[5 * step];
  const Vec a = d4 - 4.0f * d2, b = d3 - 4.0f * d1, c = d4 - d2, e = 2.0f * (d3 - d1);
  out[0] = 4.0f * d0 - 5.0f * d2 + d4;
  out[to] = a + b;
  out[2 * to] = a - b;
  out[3 * to] = c + e;
  out[4 * to] = c - e;
  out[5 * to] = 4.0f * d1 - 5.0f * d3 + d5;
}

// A' m: six to four.
inline void output_line(const Vec* m, std::int64_t step, Vec* out, std::int64_t to) {
  const Vec m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step],
            m5 = m[5 * step];
  const Vec a = m1 + m2, b = m1 - m2, c = m3 + m4, d = m3 - m4;
  out[0] = m0 + a + c;
  out[to] = b + 2.0f * d;
  out[2 * to] = a + 4.0f * c;
  out[3 * to] = b + 8.0f * d + m5;
}

// A g: four to six, the transpose of output_line.
inline void gradient_line(const Vec* g, std::int64_t step, Vec* out, std::int64_t to) {
  const Vec g0 = g[0], g1 = g[step], g2 = g[2 * step], g3 = g[3 * step];
  const Vec a = g0 + g2, b = g1 + g3, c = g0 + 4.0f * g2, d = 2.0f * g1 + 8.0f * g3;
  out[0] = g0;
  out[to] = a + b;
  out[2 * to] = a - b;
  out[3 * to] = c + d;
  out[4 * to] = c - d;
  out[5 * to] = g3;
}

// G w: three to six.
inline void weight_line(const Vec* w, std::int64_t step, Vec* out, std::int64_t to) {
  const Vec w0 = w[0], w1 = w[step], w2 = w[2 * step];
  const Vec a = (w0 + w2) * (-1.0f / 6), b = w1 * (-1.0f / 6);
  const Vec c = w0 * (1.0f / 24) + w2 * (1.0f / 6), d = w1 * (1.0f / 12);
  out[0] = w0 * 0.25f;
  out[to] = a + b;
  out[2 * to] = a - b;
  out[3 * to] = c + d;
  out[4 * to] = c - d;
  out[5 * to] = w2;
}

// G' u: six to three, the transpose of weight_line.
inline void weight_gradient_line(const Vec* u, std::int64_t step, Vec* out, std::int64_t to) {
  const Vec u0 = u[0], u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step],
            u5 = u[5 * step];
  const Vec a = (u1 + u2) * (-1.0f / 6), b = (u1 - u2) * (-1.0f / 6), c = u3 + u4, d = u3 - u4;
  out[0] = u0 * 0.25f + a + c * (1.0f / 24);
  out[to] = b + d * (1.0f / 12);
  out[2 * to] = a + c * (1.0f / 6) + u5;
}

// Calls body(first channel, how many) for every block of channels.
template <class Body>
void by_lanes(std::int64_t channels, const Body& body) {
  for (std::int64_t c = 0; c < channels; c += LANES)
    body(c, int(std::min<std::int64_t>(LANES, channels - c)));
}

// Transforms tiles of side `in`, 4 apart, into 36 values each.
template <int in, class Line>
void scatter(const float* x, float* out, std::int64_t images, const Shape& s, int threads,
             int border, const Line& line) {
  const std::int64_t apart = images * s.tiles() * s.channels;
  for_each(images, threads, [&](std::int64_t n) {
    Block block(s, border);
    by_lanes(s.channels, [&](std::int64_t c, int lanes) {
      block.read(x + (n * s.channels + c) * s.height * s.width, lanes);
      float* to = out + n * s.tiles() * s.channels + c;
      for (std::int64_t i = 0; i < s.down(); ++i)
        for (std::int64_t j = 0; j < s.across(); ++j, to += s.channels) {
          Vec half[6 * in], whole[36];
          for (int k = 0; k < in; ++k) line(block.at(4 * i, 4 * j + k), block.pitch(), half + k, in);
          for (int k = 0; k < 6; ++k) line(half + k * in, 1, whole + 6 * k, 1);
          for (int k = 0; k < 36; ++k) store_vec(to + k * apart, whole[k], lanes);
        }
    });
  });
}

}  // namespace

extern "C" {

// x (N, C, H, W) -> (36, N * tiles, C), for a convolution with padding 1.
void winograd_input(const float* x, float* out, std::int64_t images, std::int64_t channels,
                    std::int64_t height, std::int64_t width, int threads) {
  scatter<6>(x, out, images, {channels, height, width}, threads, 1, input_line);
}

// The gradient of winograd_output: (N, C, H, W) -> (36, N * tiles, C).
void winograd_gradient(const float* y, float* out, std::int64_t images, std::int64_t channels,
                       std::int64_t height, std::int64_t width, int threads) {
  scatter<4>(y, out, images, {channels, height, width}, threads, 0, gradient_line);
}

// (36, N * tiles, C) -> (N, C, H, W), plus a bias per channel unless that is null.
void winograd_output(const float* in, const float* bias, float* y, std::int64_t images,
                     std::int64_t channels, std::int64_t height, std::int64_t width, int threads) {
  const Shape s{channels, height, width};
  const std::int64_t apart = images * s.tiles() * channels;
  for_each(images, threads, [&](std::int64_t n) {
    Block block(s, 0);
    by_lanes(channels, [&](std::int64_t c, int lanes) {
      const float* from = in + n * s.tiles() * channels + c;
      for (std::int64_t i = 0; i < s.down(); ++i)
        for (std::int64_t j = 0; j < s.across(); ++j, from += channels) {
          Vec whole[36], half[24];
          for (int k = 0; k < 36; ++k) whole[k] = load_vec(from + k * apart, lanes);
          for (int k = 0; k < 6; ++k) output_line(whole + k, 6, half + k, 6);
          for (int k = 0; k < 4; ++k) output_line(half + 6 * k, 1, block.at(4 * i + k, 4 * j), 1);
        }
      block.write(y + (n * channels + c) * height * width, bias ? bias + c : nullptr, lanes);
    });
  });
}

// Kernels (K, C, 3, 3) -> (36, C, K); if turned, -> (36, K, C), each kernel rotated by half a turn:
// what the gradient on the input is convolved with.
void winograd_weight(const float* w, float* out, std::int64_t outputs, std::int64_t inputs,
                     int turned, int threads) {
  const std::int64_t rows = turned ? outputs : inputs, columns = turned ? inputs : outputs;
  const std::int64_t row_step = turned ? 9 * inputs : 9, lane_step = turned ? 9 : 9 * inputs;
  for_each(rows, threads, [&](std::int64_t row) {
    by_lanes(columns, [&](std::int64_t c, int lanes) {
      Vec kernel[9] = {}, half[18], whole[36];
      for (int lane = 0; lane < lanes; ++lane) {
        const float* from = w + row * row_step + (c + lane) * lane_step;
        for (int k = 0; k < 9; ++k) kernel[k][lane] = from[turned ? 8 - k : k];
      }
      for (int k = 0; k < 3; ++k) weight_line(kernel + k, 3, half + k, 3);
      for (int k = 0; k < 6; ++k) weight_line(half + 3 * k, 1, whole + 6 * k, 1);
      for (int k = 0; k < 36; ++k)
        store_vec(out + (k * rows + row) * columns + c, whole[k], lanes);
    });
  });
}

// The gradient of winograd_weight (not turned): (36, C, K) -> (K, C, 3, 3).
void winograd_weight_gradient(const float* u, float* w, std::int64_t outputs, std::int64_t inputs,
                              int threads) {
  for_each(inputs, threads, [&](std::int64_t row) {
    by_lanes(outputs, [&](std::int64_t c, int lanes) {
      Vec whole[36], half[18], kernel[9];
      for (int k = 0; k < 36; ++k)
        whole[k] = load_vec(u + (k * inputs + row) * outputs + c, lanes);
      for (int k = 0; k < 6; ++k) weight_gradient_line(whole + k, 6, half + k, 6);
      for (int k = 0; k < 3; ++k) weight_gradient_line(half + 6 * k, 1, kernel + 3 * k, 1);
      for (int lane = 0; lane < lanes; ++lane)
        for (int k = 0; k < 9; ++k) w[((c + lane) * inputs + row) * 9 + k] = kernel[k][lane];
    });
  });
}
}
