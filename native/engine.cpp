#include "engine.h"

#include <iterator>
#include <numeric>

#include "prediction.h"
#include "trace.h"

namespace convlet {
namespace {

// The threads of training: as many as it was given, but no more than there are
// blocks of its samples.  Memory is taken for each of them.
int useful_threads(int threads, const Shards& shards, Index samples) {
    const Index blocks = (shards.largest(samples) + block - 1) / block;
    return static_cast<int>(std::min<Index>(threads, shards.owned() * blocks));
}

}  // namespace

Engine::Engine(const Kernels& kernels, const std::vector<StageSpec>& stages, Index parameters,
               Index share)
    : kernels_(kernels), plan_(stages, parameters, share) {}

Engine::~Engine() = default;

std::unique_ptr<Workspace> Engine::borrow(int threads, Index batch, const Shards& shards) {
    if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) {
        for (auto& spare : spare_)
            if (spare->batch == batch && spare->shards == shards &&
                (batch ? spare->threads == threads : spare->threads >= threads)) {
                auto found = std::move(spare);
                std::swap(spare, spare_.back());
                spare_.pop_back();
                return found;
            }
    }
    return std::make_unique<Workspace>(plan_, threads, batch, shards);
}

void Engine::give_back(std::unique_ptr<Workspace> workspace) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;
    if (spare_.size() == 2) spare_.erase(spare_.begin());
    spare_.push_back(std::move(workspace));
}

void Engine::predict(const float* parameters, const Images& images, Index n, bool probabilities,
                     float* out, int threads, const Interrupted& interrupted) {
    if (n == 0) return;
    auto space = borrow(threads, 0);
    Stop stop(interrupted);
    Prediction prediction(kernels_, plan_, parameters, *space, images, n, probabilities, out, stop);
    run_team(threads, stop, [&](Team& team) { prediction.run(team); });
    give_back(std::move(space));
}

double Engine::gradients(const float* parameters, const Samples& data, Index n, float* gradient,
                         int threads, const Interrupted& interrupted) {
    threads = useful_threads(threads, {}, n);
    auto space = borrow(threads, n);
    Step step(kernels_, plan_, parameters, *space, data);
    step.begin(nullptr, n);
    Stop stop(interrupted);
    const Team::Work phase_a = [&](Index n, int thread) { step.samples(n, thread, stop); };
    const Team::Work phase_b = [&](Index n, int thread) {
        step.derivative(n, gradient, thread, stop);
    };
    run_team(threads, stop, [&](Team& team) {
        if (team.parallel(step.chunks(), phase_a)) team.parallel(std::ssize(plan_.items), phase_b);
    });
    const double cost = step.cost();
    give_back(std::move(space));
    return cost;
}

void Engine::trace(const float* parameters, const Samples& data, Index n,
                   std::span<const Traced> stages, const Interrupted& interrupted) {
    auto space = borrow(1, 1);
    Trace trace(kernels_, plan_, parameters, *space, data);
    Stop stop(interrupted);
    for (Index image = 0; image < n && !stop(0); ++image) trace.image(image, stages, stop);
    give_back(std::move(space));
}

Trained Engine::train(float* parameters, std::span<float* const> slots, const Samples& data,
                      const Steps& steps, const Settings& settings, const Share* share,
                      double* costs, int threads, const Interrupted& interrupted) {
    const Index total = std::ssize(steps.order);
    const Index largest = std::min(settings.batch_size, total);
    const Shards shards = share ? share->shards : Shards{settings.shards, 0, settings.shards};
    threads = useful_threads(threads, shards, largest);
    auto space = borrow(threads, largest, shards);
    const Images& images = data.images;
    if (settings.augmentation)
        for (Arena& arena : space->arenas)
            arena.prepare_augmentation(images.rows, images.columns, images.channels,
                                       settings.augmentation->radius(images.rows, images.columns));
    const Regularisation regularisation(kernels_, settings.augmentation, settings.seed,
                                        steps.epoch);
    Step step(kernels_, plan_, parameters, *space, data, &regularisation, settings.label_smoothing);
    if (!settings.clip_norm && !share) step.fuse_updates();
    if (!share) step.take_units(threads);
    UpdateRules update_rules(settings.optimizer, steps.updates);
    UpdateRule update_rule;
    float* sums = share ? share->sums : space->gradient.get();
    float* gradient = share ? share->gradient : sums;
    Stop stop(interrupted);
    const Team::Work phase_a = [&](Index n, int thread) { step.samples(n, thread, stop); };
    const Team::Work phase_b = [&](Index n, int thread) {
        if (share)
            step.derivative(n, sums, thread, stop);
        else
            step.derivative_and_square(n, sums, thread, stop);
    };
    const Team::Work squares = [&](Index n, int) { step.square(n, gradient); };
    const Team::Work phase_c = [&](Index n, int) {
        step.update_or_units(n, update_rule, gradient, parameters, slots);
    };
    const Team::Work phase_u = [&](Index n, int thread) { step.rows_of_images(n, thread, stop); };
    const Team::Work phase_v = [&](Index n, int thread) { step.units(n, thread, stop); };
    const Team::Work phase_d = [&](Index n, int) { step.turn(n); };
    const Index items = std::ssize(plan_.items),
                taps_items = std::ssize(plan_.taps_items) + std::ssize(plan_.dx_taps_items);
    Trained result;
    run_team(threads, stop, [&](Team& team) {
        for (Index first = 0; first < total; first += settings.batch_size, ++result.done) {
            const Index size = std::min(settings.batch_size, total - first);
            const std::int64_t* order = steps.order.data() + first;
            double& cost = costs[result.done];
            cost = 0;
            update_rule = update_rules.next(steps.rates[result.done]);
            if (!(share ? step.begin(order, share->rows.data() + first, size,
                                     share->totals[result.done])
                        : step.begin(order, size)))
                continue;
            // a job that is stopped abandons this step; those before it are whole
            if (step.unit_parts() && !(team.parallel(step.chunks(), phase_u) &&
                                       team.parallel(step.unit_parts(), phase_v)))
                return;
            if (!team.parallel(step.chunks(), phase_a)) return;
            step.choose_fused();
            if (!team.parallel(items, phase_b)) return;
            if (share) {
                step.costs(share->costs);
                if (!share->exchange()) return;
                team.whole(items, squares);
                cost = std::accumulate(share->costs, share->costs + shards.count, 0.0);
            } else {
                cost = step.cost();
            }
            const double norm = step.norm();
            result.diverged = !std::isfinite(norm) || !std::isfinite(cost);
            if (result.diverged) return;
            if (settings.clip_norm && norm > *settings.clip_norm)
                update_rule.scale = static_cast<float>(*settings.clip_norm / norm);
            team.whole(step.updates(), phase_c);
            team.whole(taps_items, phase_d);
        }
    });
    give_back(std::move(space));
    return result;
}

void Engine::augment(const Images& images, Index n, const Augmentation& augmentation,
                     std::uint64_t seed, std::uint64_t epoch, float* out,
                     const Interrupted& interrupted) {
    Stop stop(interrupted);
    Arena arena;
    arena.prepare_augmentation(images.rows, images.columns, images.channels,
                               augmentation.radius(images.rows, images.columns));
    const std::optional<Augmentation> some(augmentation);
    const Regularisation regularisation(kernels_, some, seed, epoch);
    const Index row = Index(images.columns) * images.channels;
    for (Index sample = 0; sample < n && !stop(0); ++sample)
        regularisation.augment(arena, images, sample, sample,
                               {out + sample * plan_.input, row, images.channels});
}

}  // namespace convlet
