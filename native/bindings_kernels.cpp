// The kernels of every target, one by one, for the tests.  Sizes are the caller's care.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <string>

#include "bindings.h"
#include "optimizer.h"

using namespace nb::literals;

namespace convlet {
namespace {

template <class T>
using Memory = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Floats = Memory<float>;
using Numbers = Memory<std::int32_t>;

struct Handle {
    const Kernels& k;
};

// None is null.
const float* pointer_or_null(nb::handle array) {
    return array.is_none() ? nullptr : nb::cast<Floats>(array).data();
}

Winner* winner_or_null(nb::handle array) {
    return array.is_none() ? nullptr : nb::cast<Numbers>(array).data();
}

// offset and delta are (K, stride), count is (K).
Survivors survivors_of(const Numbers& offset, const Floats& delta, const Numbers& count) {
    return {offset.data(), delta.data(), count.data(), static_cast<Index>(offset.shape(1))};
}

}  // namespace

void bind_kernels(nb::module_& m) {
    nb::enum_<Fused>(m, "Fused")
        .value("none", Fused::none)
        .value("relu", Fused::relu)
        .value("relu_pool", Fused::relu_pool)
        .value("pool_relu", Fused::pool_relu)
        .value("pool", Fused::pool);
    nb::class_<ConvShape>(m, "ConvShape")
        .def(
            "__init__",
            [](ConvShape* self, int rows, int columns, int R, int K, int s1, int s2, int I, int J,
               Index x_row, Index x_pixel, bool ordered, int tile) {
                new (self)
                    ConvShape{rows, columns, R, K, s1, s2, I, J, x_row, x_pixel, ordered, tile};
            },
            "rows"_a, "columns"_a, "R"_a, "K"_a, "s1"_a, "s2"_a, "I"_a, "J"_a, "x_row"_a,
            "x_pixel"_a, "ordered"_a = true, "tile"_a = 0)
        .def_prop_ro("run", &ConvShape::run)
        .def_ro("tile", &ConvShape::tile)
        .def_prop_ro("winograd_tile", winograd_tile)
        .def_prop_ro("winograd_sums", winograd_sums)
        .def_prop_ro("winograd_sums_size", winograd_sums_size)
        .def_prop_ro("winograd_taps_size", winograd_taps_size)
        .def_prop_ro("winograd_scratch", winograd_scratch);
    // The settings of the rule's optimiser after so many updates, and its scale.
    m.def("update_rule", [](const Optimizer& optimizer, Index updates, float eta, float scale) {
        UpdateRule rule = UpdateRules(optimizer, updates).next(eta);
        rule.scale = scale;
        return rule;
    });
    nb::class_<UpdateRule>(m, "UpdateRule");
    nb::class_<Handle>(m, "Kernels")
        .def(
            "__init__",
            [](Handle* self, const std::string& target) { new (self) Handle{kernels_of(target)}; },
            "target"_a)
        .def("scale_bytes",
             [](Handle& h, Memory<const std::uint8_t> u, Floats x) {
                 h.k.scale_bytes(u.data(), static_cast<Index>(u.size()), x.data());
             })
        .def(
            "conv",
            [](Handle& h, const ConvShape& s, Fused fused, Floats x, Floats w, Floats b,
               Index b_row, Index b_pixel, Floats out, Index out_row, Index out_pixel,
               nb::object winner) {
                h.k.conv(s, fused, x.data(), w.data(), {b.data(), b_row, b_pixel},
                         {out.data(), out_row, out_pixel}, winner_or_null(winner));
            },
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
            nb::arg(), nb::arg(), nb::arg().none())
        .def("winograd_taps",
             [](Handle& h, const ConvShape& s, Floats w, int first, int last, Floats taps) {
                 h.k.winograd_taps(s, w.data(), first, last, taps.data());
             })
        .def(
            "winograd",
            [](Handle& h, const ConvShape& s, Fused fused, Floats x, Floats taps, Floats b,
               Index b_row, Index b_pixel, Floats out, Index out_row, Index out_pixel,
               nb::object winner, Floats scratch) {
                h.k.winograd(s, fused, x.data(), taps.data(), {b.data(), b_row, b_pixel},
                             {out.data(), out_row, out_pixel}, winner_or_null(winner),
                             scratch.data());
            },
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
            nb::arg(), nb::arg(), nb::arg().none(), nb::arg())
        .def(
            "relu_winners",
            [](Handle& h, Floats x, Index row, Index pixel, int I, int J, int K,
               nb::object winner) {
                h.k.relu_winners({x.data(), row, pixel}, I, J, K, winner_or_null(winner));
            },
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none())
        .def(
            "pool_winners",
            [](Handle& h, Floats x, Index row, Index pixel, int x_columns, nb::object winner,
               int rows, int columns, int stride_rows, int stride_columns, int I, int J, int K,
               Floats out, Index out_row, Index out_pixel, nb::object out_winner) {
                h.k.pool_winners({x.data(), row, pixel}, x_columns, winner_or_null(winner), rows,
                                 columns, stride_rows, stride_columns, I, J, K,
                                 {out.data(), out_row, out_pixel}, winner_or_null(out_winner));
            },
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg(), nb::arg(),
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
            nb::arg().none())
        .def("survivors",
             [](Handle& h, const ConvShape& s, Numbers winner, Floats error, Index row, Index pixel,
                int rows, int columns, Numbers offset, Floats delta, Numbers count, Floats db) {
                 h.k.survivors(s, winner.data(), {error.data(), row, pixel}, rows, columns, 1,
                               survivors_of(offset, delta, count), db.data());
             })
        .def("conv_dw",
             [](Handle& h, const ConvShape& s, Floats x, Numbers offset, Floats delta,
                Numbers count, bool first, Floats dw) {
                 h.k.conv_dw(s, x.data(), survivors_of(offset, delta, count), first, dw.data());
             })
        .def("conv_dw_dx",
             [](Handle& h, const ConvShape& s, Floats x, Floats packed, Numbers offset,
                Floats delta, Numbers count, bool first, Floats dw, Floats dx) {
                 h.k.conv_dw_dx(s, x.data(), packed.data(), survivors_of(offset, delta, count),
                                first, dw.data(), dx.data());
             })
        .def(
            "errors",
            [](Handle& h, const ConvShape& s, Numbers winner, Floats above, Index row, Index pixel,
               float scale, Floats delta, Index delta_row, Index delta_pixel, nb::object db) {
                h.k.errors(s, winner.data(), {above.data(), row, pixel}, scale,
                           {delta.data(), delta_row, delta_pixel},
                           db.is_none() ? nullptr : nb::cast<Floats>(db).data());
            },
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
            nb::arg(), nb::arg().none())
        .def("conv_dw_of_errors",
             [](Handle& h, const ConvShape& s, Floats x, Floats delta, Index row, Index pixel,
                bool first, Floats dw) {
                 h.k.conv_dw_of_errors(s, x.data(), {delta.data(), row, pixel}, first, dw.data());
             })
        .def("winograd_dw",
             [](Handle& h, const ConvShape& s, Floats x, Floats delta, Index row, Index pixel,
                bool first, Floats sums, Floats scratch) {
                 h.k.winograd_dw(s, x.data(), {delta.data(), row, pixel}, first, sums.data(),
                                 scratch.data());
             })
        .def("winograd_dw_sum", [](Handle& h, const ConvShape& s, Floats sums,
                                   Floats dw) { h.k.winograd_dw_sum(s, sums.data(), dw.data()); })
        .def(
            "product",
            [](Handle& h, Floats a, Index a_row, Index a_column, Index rows, Index depth, Floats b,
               Index b_row, int columns, nb::object init, Floats out, Index out_row) {
                h.k.product({a.data(), a_row, a_column}, rows, depth, b.data(), b_row, columns,
                            pointer_or_null(init), out.data(), out_row);
            },
            nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
            nb::arg().none(), nb::arg(), nb::arg())
        .def("sparse_error",
             [](Handle& h, Floats delta, Index row, int rows, int depth, Floats w, int columns,
                Floats dx, Index dx_row) {
                 return h.k.sparse_error(delta.data(), row, rows, depth, w.data(), columns,
                                         dx.data(), dx_row);
             })
        .def("relu", [](Handle& h, Floats z,
                        Floats x) { h.k.relu(z.data(), static_cast<Index>(z.size()), x.data()); })
        .def("relu_backward",
             [](Handle& h, Floats z, float at_zero, Floats error) {
                 h.k.relu_backward(z.data(), at_zero, static_cast<Index>(z.size()), error.data());
             })
        .def("softmax",
             [](Handle& h, Floats z, int M, int lanes) { h.k.softmax(z.data(), M, lanes); })
        .def("cross_entropy",
             [](Handle& h, Floats z, Floats y, Floats factor, int M, int lanes, Floats cost) {
                 h.k.cross_entropy(z.data(), y.data(), factor.data(), M, lanes, cost.data());
             })
        .def("transpose",
             [](Handle& h, Floats a, Index a_row, int rows, int columns, Floats t, Index t_row) {
                 h.k.transpose(a.data(), a_row, rows, columns, t.data(), t_row);
             })
        .def("add", [](Handle& h, Floats a,
                       Floats b) { h.k.add(a.data(), b.data(), static_cast<Index>(a.size())); })
        .def("add_rows",
             [](Handle& h, Floats a, Index a_row, Index rows, int columns, Floats sum) {
                 h.k.add_rows(a.data(), a_row, rows, columns, sum.data());
             })
        .def("multiply",
             [](Handle& h, Floats a, Floats b) {
                 h.k.multiply(a.data(), b.data(), static_cast<Index>(a.size()));
             })
        .def(
            "squares",
            [](Handle& h, Floats a) { return h.k.squares(a.data(), static_cast<Index>(a.size())); })
        .def("update",
             [](Handle& h, const UpdateRule& rule, Floats w, Floats gradient, Floats m, Floats v) {
                 h.k.update(rule, w.data(), gradient.data(), m.data(), v.data(),
                            static_cast<Index>(w.size()));
             })
        .def("product_update",
             [](Handle& h, const UpdateRule& rule, Floats a, Index a_row, Index a_column,
                Index rows, Index depth, Index shards, Floats b, Index b_row, int columns, Floats w,
                Index w_row, Floats m, Floats v) {
                 h.k.product_update(rule, {a.data(), a_row, a_column}, rows, depth, shards,
                                    b.data(), b_row, columns, w.data(), w_row, m.data(), v.data());
             })
        .def("descend", [](Handle& h, Floats w, Floats gradient, float rate) {
            UpdateRule rule;
            rule.rate = rate;
            h.k.update(rule, w.data(), gradient.data(), nullptr, nullptr,
                       static_cast<Index>(w.size()));
        });
}

}  // namespace convlet
