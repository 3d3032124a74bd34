// Winograd's schemes for 3x3 convolutions: A. Lavin and S. Gray, "Fast Algorithms for Convolutional
// Neural Networks", CVPR 2016, sections 4.1 and 4.3. Each transforms a line (a column or a row of a
// tile), of several channels at once; tiles are transformed by columns, then by rows.
#pragma once

#include <cstdint>

// Outputs of 4x4: a quarter of the multiplications, for float.
struct F4 {
  static constexpr int tile = 4, side = 6;

  // B' d: six to six.
  template <class Vec>
  static void input(const Vec* d, std::int64_t step, Vec* out, std::int64_t to) {
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
  template <class Vec>
  static void output(const Vec* m, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step],
              m5 = m[5 * step];
    const Vec a = m1 + m2, b = m1 - m2, c = m3 + m4, d = m3 - m4;
    out[0] = m0 + a + c;
    out[to] = b + 2.0f * d;
    out[2 * to] = a + 4.0f * c;
    out[3 * to] = b + 8.0f * d + m5;
  }

  // A g: four to six, the transpose of output.
  template <class Vec>
  static void gradient(const Vec* g, std::int64_t step, Vec* out, std::int64_t to) {
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
  template <class Vec>
  static void weight(const Vec* w, std::int64_t step, Vec* out, std::int64_t to) {
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

  // G' u: six to three, the transpose of weight.
  template <class Vec>
  static void weight_gradient(const Vec* u, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec u0 = u[0], u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step],
              u5 = u[5 * step];
    const Vec a = (u1 + u2) * (-1.0f / 6), b = (u1 - u2) * (-1.0f / 6), c = u3 + u4, d = u3 - u4;
    out[0] = u0 * 0.25f + a + c * (1.0f / 24);
    out[to] = b + d * (1.0f / 12);
    out[2 * to] = a + c * (1.0f / 6) + u5;
  }
};

// Outputs of 2x2: four ninths of the multiplications, and transforms that only add, halve or
// subtract, which bfloat16 bears.
struct F2 {
  static constexpr int tile = 2, side = 4;

  template <class Vec>
  static void input(const Vec* d, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    out[0] = d0 - d2;
    out[to] = d1 + d2;
    out[2 * to] = d2 - d1;
    out[3 * to] = d1 - d3;
  }

  template <class Vec>
  static void output(const Vec* m, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
    out[0] = m0 + m1 + m2;
    out[to] = m1 - m2 - m3;
  }

  template <class Vec>
  static void gradient(const Vec* g, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec g0 = g[0], g1 = g[step];
    out[0] = g0;
    out[to] = g0 + g1;
    out[2 * to] = g0 - g1;
    out[3 * to] = -g1;
  }

  template <class Vec>
  static void weight(const Vec* w, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec w0 = w[0], w1 = w[step], w2 = w[2 * step];
    const Vec a = 0.5f * (w0 + w2), b = 0.5f * w1;
    out[0] = w0;
    out[to] = a + b;
    out[2 * to] = a - b;
    out[3 * to] = w2;
  }

  template <class Vec>
  static void weight_gradient(const Vec* u, std::int64_t step, Vec* out, std::int64_t to) {
    const Vec u0 = u[0], u1 = u[step], u2 = u[2 * step], u3 = u[3 * step];
    const Vec a = 0.5f * (u1 + u2);
    out[0] = u0 + a;
    out[to] = 0.5f * (u1 - u2);
    out[2 * to] = a + u3;
  }
};
