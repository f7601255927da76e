// What augmentation draws for one image: the map from new pixels to old, and the taps of its field.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "philox.h"

namespace convlet {

// Ranges: each draw is uniform in plus or minus its range.
struct Augmentation {
    float shift = 0;     // pixels, rows and columns alike
    float rotation = 0;  // radians
    float scale = 0;     // of 1
    float shear = 0;     // columns by row
    bool flip = false;   // left and right changed, in half of the images
    float elastic = 0;   // alpha: pixels times the smoothed field
    float sigma = 0;     // of the Gaussian, pixels

    std::vector<float> taps;  // of the Gaussian, set by `prepare`

    // Taps of the Gaussian to three sigma; e^-x by its series, so that no library decides the bits.
    void prepare() {
        taps.clear();
        if (elastic == 0) return;
        const int radius = static_cast<int>(std::ceil(3 * sigma));
        std::vector<double> weight;
        double sum = 0;
        for (int t = -radius; t <= radius; ++t) {
            const double x = double(t) * t / (2.0 * sigma * sigma);
            weight.push_back(exp_minus(x));
            sum += weight.back();
        }
        for (const double w : weight) taps.push_back(static_cast<float>(w / sum));
    }

    // Of the Gaussian, pixels; taps further off than an image is long meet zeros only.
    int radius() const { return static_cast<int>(taps.size() / 2); }
    int radius(int rows, int columns) const { return std::min(radius(), std::max(rows, columns)); }
    const float* taps_within(int reach) const { return taps.data() + (radius() - reach); }

    // The map from the new image to the old one.
    Affine draw(Philox& words) const {
        const double down = shift * signed_unit(words), right = shift * signed_unit(words);
        const double angle = rotation * signed_unit(words);
        const double zoom = 1 + scale * signed_unit(words);
        const double slant = shear * signed_unit(words);
        const bool mirrored = signed_unit(words) < 0 && flip;
        const double c = cosine(angle) / zoom, s = sine(angle) / zoom;
        const double mirror = mirrored ? -1 : 1;
        return {static_cast<float>(c),
                static_cast<float>(-s * mirror),
                static_cast<float>(s + slant * c),
                static_cast<float>((c - slant * s) * mirror),
                static_cast<float>(down),
                static_cast<float>(right)};
    }

    // In [-1, 1), a multiple of 2^-52.
    static double signed_unit(Philox& words) {
        return static_cast<double>(words.next() >> 11) * 0x1p-52 - 1;
    }

    // Series to the last bit of a double for |x| <= pi.
    static double sine(double x) {
        double term = x, sum = x;
        for (int n = 3; n < 40; n += 2) sum += term *= -x * x / (double(n) * (n - 1));
        return sum;
    }
    static double cosine(double x) {
        double term = 1, sum = 1;
        for (int n = 2; n < 40; n += 2) sum += term *= -x * x / (double(n) * (n - 1));
        return sum;
    }
    static double exp_minus(double x) {  // x up to 4.5 or so: e^(-x) as 1 / e^x
        double term = 1, sum = 1;
        for (int n = 1; n < 60; ++n) sum += term *= x / n;
        return 1 / sum;
    }
};

}  // namespace convlet
