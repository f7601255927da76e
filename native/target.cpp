// Compiled once for each instruction set, with CONVLET_TARGET its namespace, into one table.
#include "conv.h"
#include "dense_errors.h"
#include "elementwise.h"
#include "kernels.h"
#include "product.h"
#include "sigma.h"
#include "softmax.h"
#include "update.h"
#include "warp.h"
#include "winograd.h"

#define CONVLET_STRING_(text) #text
#define CONVLET_STRING(text) CONVLET_STRING_(text)

namespace convlet::CONVLET_TARGET {

extern const Kernels kernels;
const Kernels kernels{
    .name = CONVLET_STRING(CONVLET_TARGET),
    .scale_bytes = scale_bytes,
    .conv = conv,
    .winograd_taps = winograd_taps,
    .winograd = winograd,
    .relu_winners = relu_winners,
    .pool_winners = pool_winners,
    .survivors = survivors,
    .conv_dw = conv_dw,
    .conv_dw_dx = conv_dw_dx,
    .errors = errors,
    .conv_dw_of_errors = conv_dw_of_errors,
    .winograd_dw = winograd_dw,
    .winograd_dw_sum = winograd_dw_sum,
    .product = product,
    .sparse_error = sparse_error,
    .relu = relu,
    .relu_backward = relu_backward,
    .softmax = softmax,
    .cross_entropy = cross_entropy,
    .transpose = transpose,
    .add = add,
    .add_rows = add_rows,
    .smooth = smooth,
    .warp = warp,
    .update = update,
    .product_update = product_update,
    .squares = squares,
    .multiply = multiply,
};

}  // namespace convlet::CONVLET_TARGET
