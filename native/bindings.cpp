// What Python sees: the targets of this CPU and the engine.  Arrays are checked here, in their
// signatures and by size; the interpreter's lock is released while the core works.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "engine.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace convlet {

void bind_kernels(nb::module_& m);  // bindings_kernels.cpp

struct Target {
    const Kernels* kernels;
    bool supported;
};

// Every target in this build, the best first.
const std::vector<Target>& targets() {
    static const std::vector<Target> all = [] {
        std::vector<Target> found;
#if defined(__x86_64__)
        __builtin_cpu_init();
        const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        const bool v4 = v3 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        found.push_back({&avx512::kernels, v4});
        found.push_back({&avx2::kernels, v3});
#elif defined(__aarch64__)
        found.push_back({&neon::kernels, true});
#endif
        return found;
    }();
    return all;
}

const Kernels& kernels_of(const std::string& name) {
    for (const Target& target : targets())
        if (target.supported && target.kernels->name == name) return *target.kernels;
    throw nb::value_error(("no such target on this CPU: " + name).c_str());
}

namespace {

template <class T, int dims>
using Array = nb::ndarray<const T, nb::ndim<dims>, nb::c_contig, nb::device::cpu>;
template <class T, int dims>
using Output = nb::ndarray<T, nb::ndim<dims>, nb::c_contig, nb::device::cpu>;
using AnyImages = nb::ndarray<nb::ro, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using AnyTargets = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

void require(bool holds, const char* what) {
    if (!holds) throw nb::value_error(what);
}

Images images_of(const AnyImages& x, const Plan& plan) {
    require(static_cast<Index>(x.shape(1) * x.shape(2) * x.shape(3)) == plan.input,
            "images do not have the network's input shape");
    const int rows = static_cast<int>(x.shape(1)), columns = static_cast<int>(x.shape(2));
    const int channels = static_cast<int>(x.shape(3));
    if (x.dtype() == nb::dtype<std::uint8_t>())
        return {static_cast<const std::uint8_t*>(x.data()), nullptr, rows, columns, channels};
    if (x.dtype() == nb::dtype<float>())
        return {nullptr, static_cast<const float*>(x.data()), rows, columns, channels};
    throw nb::type_error("images are neither uint8 nor float32");
}

Targets targets_of(const AnyTargets& y, const std::optional<Array<float, 1>>& weight, std::size_t n,
                   const Plan& plan) {
    require(y.ndim() > 0 && y.shape(0) == n, "targets do not match the images");
    require(!weight || weight->shape(0) == n, "weights do not match the images");
    Targets targets;
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
    return targets;
}

bool finalizing() {
#if PY_VERSION_HEX >= 0x030d0000
    return Py_IsFinalizing();
#else
    return _Py_IsFinalizing();
#endif
}

// Without the interpreter's lock.  A thread that comes back while the interpreter ends stays here
// until the process is gone: taking the lock then would end the thread in the middle of C++.
class Unlocked {
public:
    Unlocked() : state_(PyEval_SaveThread()) {}
    ~Unlocked() {
        while (finalizing()) pause();
        PyEval_RestoreThread(state_);
    }
    Unlocked(const Unlocked&) = delete;

private:
    PyThreadState* state_;
};

// Python's signals, asked for without holding the lock in between.
struct Signals {
    bool raised = false;
    Interrupted ask() {
        return [this] {
            if (finalizing()) return true;
            const nb::gil_scoped_acquire gil;
            raised = PyErr_CheckSignals() != 0;
            return raised;
        };
    }
    void rethrow() const {
        if (raised) throw nb::python_error();
    }
    nb::object take() const {  // the exception, or None
        if (!raised) return nb::none();
        nb::python_error error;
        return nb::borrow(error.value());
    }
};

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
    Signals signals;
    {
        const Unlocked unlocked;
        engine.predict(parameters.data(), x, static_cast<Index>(out.shape(0)), probabilities,
                       out.data(), team_size(threads), signals.ask());
    }
    signals.rethrow();
}

double gradients(Engine& engine, Array<float, 1> parameters, AnyImages images, AnyTargets targets,
                 std::optional<Array<float, 1>> weight, Output<float, 1> gradient, int threads) {
    const Plan& plan = engine.plan();
    const Images x = images_of(images, plan);
    const Targets y = targets_of(targets, weight, images.shape(0), plan);
    require(images.shape(0) > 0, "no images");
    require(static_cast<Index>(parameters.size()) == plan.parameters &&
                static_cast<Index>(gradient.size()) == plan.parameters,
            "parameters or gradient: wrong size");
    Signals signals;
    double cost = 0;
    {
        const Unlocked unlocked;
        engine.gradients(parameters.data(), x, y, static_cast<Index>(images.shape(0)),
                         gradient.data(), &cost, team_size(threads), signals.ask());
    }
    signals.rethrow();
    return cost;
}

// Steps over `order`; returns the number of whole ones, whether the next one diverged, and the
// exception of a signal that ended them early.
nb::tuple train(Engine& engine, Output<float, 1> parameters, AnyImages images, AnyTargets targets,
                std::optional<Array<float, 1>> weight, Array<std::int64_t, 1> order,
                Index batch_size, Array<float, 1> rates, Output<double, 1> costs, int threads,
                UpdateRule rule, double decay, Index updates, std::optional<Output<float, 1>> m,
                std::optional<Output<float, 1>> v, double clip, float smoothing, bool dropout,
                const Augmentation* augmentation, std::uint64_t seed, std::uint64_t epoch) {
    const Plan& plan = engine.plan();
    const Images x = images_of(images, plan);
    const Targets y = targets_of(targets, weight, images.shape(0), plan);
    const auto fits = [&](const auto& slot) {
        return !slot || static_cast<Index>(slot->size()) == plan.parameters;
    };
    require(static_cast<Index>(parameters.size()) == plan.parameters && fits(m) && fits(v),
            "parameters or slots: wrong size");
    using Kind = UpdateRule::Kind;
    require((rule.kind == Kind::sgd || m) && (rule.kind != Kind::adam || v), "slots are missing");
    require(batch_size >= 1, "batch_size must be 1 or more");
    const Index total = static_cast<Index>(order.size());
    const Index steps = (total + batch_size - 1) / batch_size;
    require(static_cast<Index>(costs.size()) == steps && static_cast<Index>(rates.size()) == steps,
            "costs or rates: wrong size");
    for (Index n = 0; n < total; ++n)
        require(order.data()[n] >= 0 && order.data()[n] < static_cast<Index>(images.shape(0)),
                "order names a sample that does not exist");
    if (total == 0) return nb::make_tuple(0, false, nb::none());
    const Training training{x,
                            y,
                            {order.data(), order.size()},
                            batch_size,
                            {rates.data(), rates.size()},
                            rule,
                            decay,
                            updates,
                            m ? m->data() : nullptr,
                            v ? v->data() : nullptr,
                            clip,
                            {seed, epoch, smoothing, dropout, augmentation}};
    Signals signals;
    TrainingResult result;
    const int team = team_size(threads);
    {
        const Unlocked unlocked;
        result = engine.train(parameters.data(), training, costs.data(), team, signals.ask());
    }
    return nb::make_tuple(result.steps, result.diverged, signals.take());
}

void augment(Engine& engine, AnyImages images, const Augmentation& augmentation, std::uint64_t seed,
             std::uint64_t epoch, Output<float, 4> out) {
    const Images x = images_of(images, engine.plan());
    require(out.size() == images.size(), "out: wrong size");
    const Unlocked unlocked;
    engine.augment(x, static_cast<Index>(images.shape(0)), augmentation, seed, epoch, out.data());
}

}  // namespace
}  // namespace convlet

NB_MODULE(_native, m) {
    using namespace convlet;
    m.doc() = "The native core: see docs/engine.md.";
    m.def(
        "targets",
        [] {
            nb::list all;
            for (const Target& target : targets())
                all.append(nb::make_tuple(target.kernels->name, target.supported));
            return all;
        },
        "Every instruction set in this build and whether this CPU has it, the best first.");

    nb::enum_<SigmaLayer::Kind>(m, "SigmaKind")
        .value("relu", SigmaLayer::Kind::relu)
        .value("max_pool", SigmaLayer::Kind::max_pool)
        .value("dropout", SigmaLayer::Kind::dropout);
    nb::class_<SigmaLayer>(m, "SigmaLayer")
        .def(
            "__init__",
            [](SigmaLayer* self, SigmaLayer::Kind kind, int rows, int columns, int stride_rows,
               int stride_columns, float rate) {
                new (self) SigmaLayer{kind, rows, columns, stride_rows, stride_columns, rate};
            },
            "kind"_a, "rows"_a = 0, "columns"_a = 0, "stride_rows"_a = 0, "stride_columns"_a = 0,
            "rate"_a = 0);
    nb::enum_<UpdateRule::Kind>(m, "UpdateKind")
        .value("sgd", UpdateRule::Kind::sgd)
        .value("momentum", UpdateRule::Kind::momentum)
        .value("nesterov", UpdateRule::Kind::nesterov)
        .value("adam", UpdateRule::Kind::adam);
    nb::class_<UpdateRule>(m, "UpdateRule")
        .def(
            "__init__",
            [](UpdateRule* self, UpdateRule::Kind kind, double beta1, double beta2,
               double epsilon) {
                new (self) UpdateRule{};
                self->kind = kind;
                self->beta1 = static_cast<float>(beta1);
                self->beta2 = static_cast<float>(beta2);
                self->exact_beta1 = beta1;
                self->exact_beta2 = beta2;
                self->rest1 = static_cast<float>(1 - beta1);
                self->rest2 = static_cast<float>(1 - beta2);
                self->epsilon = static_cast<float>(epsilon);
            },
            "kind"_a, "beta1"_a = 0, "beta2"_a = 0, "epsilon"_a = 0);
    nb::class_<Augmentation>(m, "Augmentation")
        .def(
            "__init__",
            [](Augmentation* self, float shift, float rotation, float scale, float shear, bool flip,
               float elastic, float sigma) {
                new (self) Augmentation{shift, rotation, scale, shear, flip, elastic, sigma, {}};
                self->prepare();
            },
            "shift"_a, "rotation"_a, "scale"_a, "shear"_a, "flip"_a, "elastic"_a, "sigma"_a);
    nb::enum_<Bias>(m, "Bias")
        .value("none", Bias::none)
        .value("channel", Bias::channel)
        .value("position", Bias::position);
    nb::class_<StageSpec>(m, "StageSpec")
        .def(nb::init<>())
        .def_rw("conv", &StageSpec::conv)
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
               Index parameters) {
                require(!stages.empty(), "no stages");
                new (self) Engine(kernels_of(target), stages, parameters);
            },
            "target"_a, "stages"_a, "parameters"_a.noconvert())
        .def_prop_ro("target", &Engine::target)
        .def_prop_ro("winograd",
                     [](const Engine& engine) {  // the stages that take Winograd's form
                         nb::list stages;
                         const auto& convs = engine.plan().convs;
                         for (std::size_t l = 0; l < convs.size(); ++l)
                             if (convs[l].winograd) stages.append(l);
                         return stages;
                     })
        .def("predict", predict, "parameters"_a.noconvert(), "images"_a.noconvert(),
             "probabilities"_a, "out"_a.noconvert(), "threads"_a)
        .def("gradients", gradients, "parameters"_a.noconvert(), "images"_a.noconvert(),
             "targets"_a.noconvert(), "weight"_a.noconvert().none(), "gradient"_a.noconvert(),
             "threads"_a)
        .def("train", train, "parameters"_a.noconvert(), "images"_a.noconvert(),
             "targets"_a.noconvert(), "weight"_a.noconvert().none(), "order"_a.noconvert(),
             "batch_size"_a, "rates"_a.noconvert(), "costs"_a.noconvert(), "threads"_a,
             "rule"_a = UpdateRule{}, "decay"_a = 0.0, "updates"_a = 0,
             "m"_a.noconvert().none() = nb::none(), "v"_a.noconvert().none() = nb::none(),
             "clip"_a = 0.0, "smoothing"_a = 0.0, "dropout"_a = false,
             "augmentation"_a.none() = nb::none(), "seed"_a = 0, "epoch"_a = 0)
        .def("augment", augment, "images"_a.noconvert(), "augmentation"_a, "seed"_a, "epoch"_a,
             "out"_a.noconvert());
    nb::module_ testing = m.def_submodule("testing", "The kernels one by one.");
    bind_kernels(testing);
}
