// The engine, and the records that it takes.  Arrays are checked here, in their signatures and by
// size; the interpreter's lock is released while the core works.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "engine.h"

using namespace nb::literals;

namespace convlet {
namespace {

template <class T, int dims>
using Array = nb::ndarray<const T, nb::ndim<dims>, nb::c_contig, nb::device::cpu>;
template <class T, int dims>
using Output = nb::ndarray<T, nb::ndim<dims>, nb::c_contig, nb::device::cpu>;
using AnyImages = nb::ndarray<nb::ro, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using AnyTargets = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

Images images_of(const AnyImages& x, const Plan& plan) {
    const auto is = [&](int axis, int size) { return static_cast<int>(x.shape(axis)) == size; };
    const StageSpec* first = plan.convs.empty() ? nullptr : &plan.convs[0].spec;
    require(static_cast<Index>(x.shape(1) * x.shape(2) * x.shape(3)) == plan.input &&
                (!first || (is(1, first->H) && is(2, first->W) && is(3, first->R))),
            "images do not have the network's input shape");
    const int rows = static_cast<int>(x.shape(1)), columns = static_cast<int>(x.shape(2));
    const int channels = static_cast<int>(x.shape(3));
    if (x.dtype() == nb::dtype<std::uint8_t>())
        return {static_cast<const std::uint8_t*>(x.data()), nullptr, rows, columns, channels};
    if (x.dtype() == nb::dtype<float>())
        return {nullptr, static_cast<const float*>(x.data()), rows, columns, channels};
    throw nb::type_error("images are neither uint8 nor float32");
}

Samples samples_of(const AnyImages& x, const AnyTargets& y,
                   const std::optional<Array<float, 1>>& weight, const Plan& plan) {
    Samples data{images_of(x, plan), {}};
    const std::size_t n = x.shape(0);
    require(y.ndim() > 0 && y.shape(0) == n, "targets do not match the images");
    require(!weight || weight->shape(0) == n, "weights do not match the images");
    Targets& targets = data.targets;
    if (weight) targets.weight = weight->data();
    if (y.ndim() == 1 && y.dtype() == nb::dtype<std::int32_t>()) {
        targets.classes = static_cast<const std::int32_t*>(y.data());
        for (std::size_t b = 0; b < n; ++b)
            require(targets.classes[b] >= 0 && targets.classes[b] < plan.classes,
                    "a class is out of range");
    } else if (y.ndim() == 2 && y.dtype() == nb::dtype<float>() &&
               static_cast<int>(y.shape(1)) == plan.classes) {
        targets.distributions = static_cast<const float*>(y.data());
    } else {
        throw nb::type_error("targets are neither int32 (n,) nor float32 (n, classes)");
    }
    return data;
}

int team_size(int threads) {
    require(threads >= 1 && threads <= 1024, "threads must be 1 to 1024");
    return threads;
}

void predict(Engine& engine, Array<float, 1> parameters, AnyImages images, bool probabilities,
             Output<float, 2> out, int threads) {
    const Plan& plan = engine.plan();
    const Images x = images_of(images, plan);
    require(static_cast<Index>(parameters.size()) == plan.parameters, "parameters: wrong size");
    require(out.shape(0) == images.shape(0) && static_cast<int>(out.shape(1)) == plan.classes,
            "out: wrong shape");
    const int team = team_size(threads);
    {
        Unlocked unlocked;
        engine.predict(parameters.data(), x, static_cast<Index>(out.shape(0)), probabilities,
                       out.data(), team, [&] { return unlocked.interrupted(); });
    }
    rethrow();
}

double gradients(Engine& engine, Array<float, 1> parameters, AnyImages images, AnyTargets targets,
                 std::optional<Array<float, 1>> weight, Output<float, 1> gradient, int threads) {
    const Plan& plan = engine.plan();
    const Samples data = samples_of(images, targets, weight, plan);
    const auto n = static_cast<Index>(images.shape(0));
    require(n > 0, "no images");
    require(static_cast<Index>(parameters.size()) == plan.parameters &&
                static_cast<Index>(gradient.size()) == plan.parameters,
            "parameters or gradient: wrong size");
    const int team = team_size(threads);
    double cost = 0;
    {
        Unlocked unlocked;
        cost = engine.gradients(parameters.data(), data, n, gradient.data(), team,
                                [&] { return unlocked.interrupted(); });
    }
    rethrow();
    return cost;
}

// What passes through the network; each array (n, numbers), a list of them a stage.
void trace(Engine& engine, Array<float, 1> parameters, AnyImages images, AnyTargets targets,
           const std::vector<Output<float, 2>>& z, const std::vector<Output<float, 2>>& out,
           const std::vector<Output<float, 2>>& delta, const std::vector<Output<float, 2>>& dx) {
    const Plan& plan = engine.plan();
    const Samples data = samples_of(images, targets, {}, plan);
    require(static_cast<Index>(parameters.size()) == plan.parameters, "parameters: wrong size");
    const std::size_t n = images.shape(0), stages = plan.convs.size() + plan.denses.size();
    require(
        z.size() == stages && out.size() == stages && delta.size() == stages && dx.size() == stages,
        "an array a stage");
    std::vector<Traced> traced;
    for (std::size_t l = 0; l < stages; ++l) {
        const auto is = [&](const Output<float, 2>& array, Index size) {
            require(array.shape(0) == n && static_cast<Index>(array.shape(1)) == size,
                    "an array of the wrong size");
            return array.data();
        };
        if (l < plan.convs.size()) {
            const ConvPlan& c = plan.convs[l];
            const StageSpec& s = c.spec;
            const Index size = Index(s.I) * s.J * s.K;
            traced.push_back({is(z[l], size), is(out[l], Index(c.rows) * c.columns * s.K),
                              is(delta[l], size), is(dx[l], l == 0 ? 0 : Index(s.H) * s.W * s.R)});
        } else {
            const DensePlan& s = plan.denses[l - plan.convs.size()];
            traced.push_back({is(z[l], s.M), is(out[l], s.M), is(delta[l], s.M), is(dx[l], s.N)});
        }
    }
    {
        Unlocked unlocked;
        engine.trace(parameters.data(), data, static_cast<Index>(n), traced,
                     [&] { return unlocked.interrupted(); });
    }
    rethrow();
}

// What the core uses of Python's `Settings`, which has checked them.
Settings settings_of(nb::handle settings, const Optimizer& optimizer,
                     std::optional<Augmentation> augmentation) {
    return {.batch_size = nb::cast<Index>(settings.attr("batch_size")),
            .shards = nb::cast<Index>(settings.attr("shards")),
            .seed = nb::cast<std::uint64_t>(settings.attr("seed")),
            .optimizer = optimizer,
            .clip_norm = nb::cast<std::optional<double>>(settings.attr("clip_norm")),
            .label_smoothing = nb::cast<double>(settings.attr("label_smoothing")),
            .augmentation = std::move(augmentation)};
}

// A worker's share as Python hands it over: `Share` of job.h, with arrays.
struct WorkerShare {
    Index first, last;
    Array<std::int64_t, 1> rows;
    Array<double, 1> totals;
    Output<float, 2> sums;
    Output<float, 1> gradient;
    Output<double, 1> costs;
    nb::callable exchange;
};

Share share_of(const WorkerShare& from, const Settings& settings, const Plan& plan, Index total,
               Index steps, Index images, Unlocked*& unlocked) {
    const Shards shards{settings.shards, from.first, from.last};
    require(0 <= shards.first && shards.first < shards.last && shards.last <= shards.count,
            "share: no shards of these");
    require(static_cast<Index>(from.rows.size()) == total &&
                static_cast<Index>(from.totals.size()) == steps &&
                static_cast<Index>(from.gradient.size()) == plan.parameters &&
                static_cast<Index>(from.sums.shape(0)) == shards.nodes() &&
                static_cast<Index>(from.sums.shape(1)) == plan.parameters &&
                static_cast<Index>(from.costs.size()) == shards.count,
            "share: wrong size");
    const std::int64_t* rows = from.rows.data();
    for (Index first = 0; first < total; first += settings.batch_size) {
        const Index size = std::min(settings.batch_size, total - first);
        for (Index b = shards.begin(shards.first, size); b < shards.begin(shards.last, size); ++b)
            require(rows[first + b] >= 0 && rows[first + b] < images,
                    "share: rows name an image that is not here");
    }
    return {shards,
            {rows, from.rows.size()},
            {from.totals.data(), from.totals.size()},
            from.sums.data(),
            from.gradient.data(),
            from.costs.data(),
            [&from, &unlocked] { return unlocked->call(from.exchange); }};
}

// Returns the number of whole steps, and whether the next one diverged.  A signal's exception comes
// after whole steps, too.
std::pair<Index, bool> train(Engine& engine, Output<float, 1> parameters,
                             std::vector<Output<float, 1>> slots, AnyImages images,
                             AnyTargets targets, std::optional<Array<float, 1>> weight,
                             Array<std::int64_t, 1> order, Array<float, 1> rates, Index updates,
                             std::uint64_t epoch, const Settings& settings, Output<double, 1> costs,
                             int threads, const WorkerShare* worker) {
    const Plan& plan = engine.plan();
    const Samples data = samples_of(images, targets, weight, plan);
    require(static_cast<Index>(parameters.size()) == plan.parameters, "parameters: wrong size");
    require(slots.size() == settings.optimizer.slots(), "slots: not as many as the optimizer has");
    require(slots.size() <= most_slots, "slots: more than the core's update takes");
    std::vector<float*> vectors;
    for (const Output<float, 1>& slot : slots) {
        require(slot.size() == parameters.size(), "slots: wrong size");
        vectors.push_back(slot.data());
    }
    require(settings.batch_size >= 1, "batch_size must be 1 or more");
    require(settings.shards >= 1 && settings.shards <= most_shards, "shards must be 1 to 4096");
    require(updates >= 0, "updates must be 0 or more");
    const auto total = static_cast<Index>(order.size());
    const Index count = total == 0 ? 0 : (total - 1) / settings.batch_size + 1;
    require(static_cast<Index>(costs.size()) == count && static_cast<Index>(rates.size()) == count,
            "costs or rates: wrong size");
    const auto count_here = static_cast<Index>(images.shape(0));
    for (Index n = 0; n < total; ++n)
        require(order.data()[n] >= 0 && (worker || order.data()[n] < count_here),
                "order names a sample that does not exist");
    const int team = team_size(threads);
    if (total == 0) return {0, false};
    const Steps steps{{order.data(), order.size()}, {rates.data(), rates.size()}, updates, epoch};
    Trained trained;
    Unlocked* open = nullptr;
    Share share;
    if (worker) share = share_of(*worker, settings, plan, total, count, count_here, open);
    {
        Unlocked unlocked;
        open = &unlocked;
        trained = engine.train(parameters.data(), vectors, data, steps, settings,
                               worker ? &share : nullptr, costs.data(), team,
                               [&] { return unlocked.interrupted(); });
    }
    rethrow();
    return {trained.done, trained.diverged};
}

void augment(Engine& engine, AnyImages images, const Augmentation& augmentation, std::uint64_t seed,
             std::uint64_t epoch, Output<float, 4> out) {
    const Images x = images_of(images, engine.plan());
    require(out.size() == images.size(), "out: wrong size");
    {
        Unlocked unlocked;
        engine.augment(x, static_cast<Index>(images.shape(0)), augmentation, seed, epoch,
                       out.data(), [&] { return unlocked.interrupted(); });
    }
    rethrow();
}

// The stages that take Winograd's form -> the outputs of a tile along an axis; `of` is 0 for others.
template <class F>
nb::dict tiles(const Engine& engine, const F& of) {
    nb::dict found;
    const auto& convs = engine.plan().convs;
    for (std::size_t l = 0; l < convs.size(); ++l)
        if (const int tile = of(convs[l])) found[nb::int_(l)] = tile;
    return found;
}

}  // namespace

void bind_engine(nb::module_& m) {
    nb::class_<SigmaLayer>(m, "SigmaLayer")
        .def(
            "__init__",
            [](SigmaLayer* self, const std::string& kind, int rows, int columns, int stride_rows,
               int stride_columns, float number) {
                const auto& names = SigmaLayer::names;
                const auto name = std::find(std::begin(names), std::end(names), kind);
                require(name != std::end(names), "no such kind of layer");
                new (self) SigmaLayer{static_cast<SigmaLayer::Kind>(name - std::begin(names)),
                                      rows,
                                      columns,
                                      stride_rows,
                                      stride_columns,
                                      number};
            },
            "kind"_a, "rows"_a = 0, "columns"_a = 0, "stride_rows"_a = 0, "stride_columns"_a = 0,
            "number"_a = 0);
    nb::enum_<UpdateRule::Kind>(m, "UpdateKind")
        .value("sgd", UpdateRule::Kind::sgd)
        .value("momentum", UpdateRule::Kind::momentum)
        .value("nesterov", UpdateRule::Kind::nesterov)
        .value("adam", UpdateRule::Kind::adam);
    nb::class_<Optimizer>(m, "Optimizer")
        .def(
            "__init__",
            [](Optimizer* self, UpdateRule::Kind kind, double beta1, double beta2, double epsilon,
               double weight_decay) {
                new (self) Optimizer{kind, beta1, beta2, epsilon, weight_decay};
            },
            "kind"_a, "beta1"_a = 0, "beta2"_a = 0, "epsilon"_a = 0, "weight_decay"_a = 0);
    nb::class_<Augmentation>(m, "Augmentation")
        .def(
            "__init__",
            [](Augmentation* self, float shift, float rotation, float scale, float shear, bool flip,
               float elastic, float sigma) {
                new (self) Augmentation{shift, rotation, scale, shear, flip, elastic, sigma, {}};
                self->prepare();
            },
            "shift"_a, "rotation"_a, "scale"_a, "shear"_a, "flip"_a, "elastic"_a, "sigma"_a);
    nb::class_<Settings>(m, "Settings")
        .def(
            "__init__",
            [](Settings* self, nb::handle settings, const Optimizer& optimizer,
               std::optional<Augmentation> augmentation) {
                new (self) Settings(settings_of(settings, optimizer, std::move(augmentation)));
            },
            "settings"_a, "optimizer"_a, "augmentation"_a.none());
    nb::class_<WorkerShare>(m, "Share")
        .def(
            "__init__",
            [](WorkerShare* self, Index first, Index last, Array<std::int64_t, 1> rows,
               Array<double, 1> totals, Output<float, 2> sums, Output<float, 1> gradient,
               Output<double, 1> costs, nb::callable exchange) {
                new (self) WorkerShare{first,
                                       last,
                                       std::move(rows),
                                       std::move(totals),
                                       std::move(sums),
                                       std::move(gradient),
                                       std::move(costs),
                                       std::move(exchange)};
            },
            "first"_a, "last"_a, "rows"_a.noconvert(), "totals"_a.noconvert(), "sums"_a.noconvert(),
            "gradient"_a.noconvert(), "costs"_a.noconvert(), "exchange"_a);
    nb::enum_<AffineKind>(m, "AffineKind")
        .value("conv", AffineKind::conv)
        .value("dense", AffineKind::dense);
    nb::enum_<Bias>(m, "Bias")
        .value("none", Bias::none)
        .value("channel", Bias::channel)
        .value("position", Bias::position);
    nb::class_<StageSpec>(m, "StageSpec")
        .def(nb::init<>())
        .def_rw("affine", &StageSpec::affine)
        .def_rw("H", &StageSpec::H)
        .def_rw("W", &StageSpec::W)
        .def_rw("R", &StageSpec::R)
        .def_rw("rows", &StageSpec::rows)
        .def_rw("columns", &StageSpec::columns)
        .def_rw("s1", &StageSpec::s1)
        .def_rw("s2", &StageSpec::s2)
        .def_rw("above", &StageSpec::above)
        .def_rw("below", &StageSpec::below)
        .def_rw("left", &StageSpec::left)
        .def_rw("right", &StageSpec::right)
        .def_rw("I", &StageSpec::I)
        .def_rw("J", &StageSpec::J)
        .def_rw("K", &StageSpec::K)
        .def_rw("bias", &StageSpec::bias)
        .def_rw("sigma", &StageSpec::sigma)
        .def_rw("w", &StageSpec::w)
        .def_rw("b", &StageSpec::b);
    nb::class_<Engine>(m, "Engine")
        .def(
            "__init__",
            [](Engine* self, const std::string& target, const std::vector<StageSpec>& stages,
               Index parameters, Index share) {
                require(!stages.empty(), "no stages");
                require(share > 0, "share must be positive");
                new (self) Engine(kernels_of(target), stages, parameters, share);
            },
            "target"_a, "stages"_a, "parameters"_a.noconvert(), "share"_a)
        .def_prop_ro("target", &Engine::target)
        .def_prop_ro("winograd",
                     [](const Engine& engine) {
                         return tiles(engine, [](const ConvPlan& c) {
                             return c.winograd ? c.shape.tile : 0;
                         });
                     })
        .def_prop_ro("winograd_dx",
                     [](const Engine& engine) {
                         return tiles(engine, [](const ConvPlan& c) {
                             return c.dx_taps >= 0 ? c.phases[0].shape.tile : 0;
                         });
                     })
        .def_prop_ro("winograd_dw",
                     [](const Engine& engine) {
                         return tiles(engine,
                                      [](const ConvPlan& c) { return c.sums ? c.shape.tile : 0; });
                     })
        .def(
            "shares",
            [](const Engine& engine, int threads, Index batch) {
                const Plan& plan = engine.plan();
                nb::list items;
                for (const UpdateItem& item : plan.items) items.append(item.end - item.begin);
                nb::dict shares;
                shares["chunk"] = plan.chunk(threads, batch);
                shares["partial"] = plan.partial;
                shares["items"] = items;
                shares["taps_items"] = plan.taps_items.size() + plan.dx_taps_items.size();
                return shares;
            },
            "threads"_a, "batch"_a)
        .def("predict", predict, "parameters"_a.noconvert(), "images"_a.noconvert(),
             "probabilities"_a, "out"_a.noconvert(), "threads"_a)
        .def("gradients", gradients, "parameters"_a.noconvert(), "images"_a.noconvert(),
             "targets"_a.noconvert(), "weight"_a.noconvert().none(), "gradient"_a.noconvert(),
             "threads"_a)
        .def("trace", trace, "parameters"_a.noconvert(), "images"_a.noconvert(),
             "targets"_a.noconvert(), "z"_a, "out"_a, "delta"_a, "dx"_a)
        .def("train", train, "parameters"_a.noconvert(), "slots"_a.noconvert(),
             "images"_a.noconvert(), "targets"_a.noconvert(), "weight"_a.noconvert().none(),
             "order"_a.noconvert(), "rates"_a.noconvert(), "updates"_a, "epoch"_a, "settings"_a,
             "costs"_a.noconvert(), "threads"_a, "share"_a.none() = nb::none())
        .def("augment", augment, "images"_a.noconvert(), "augmentation"_a, "seed"_a, "epoch"_a,
             "out"_a.noconvert());
}

}  // namespace convlet
