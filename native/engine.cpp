#include "engine.h"

#include "step.h"

namespace convlet {
namespace {

// A thread takes whole blocks.
int useful_threads(int threads, Index batch) {
    return static_cast<int>(std::min<Index>(threads, (batch + block - 1) / block));
}

// b^n by repeated products: no library decides the bits.
double power(double b, Index n) {
    double result = 1;
    for (; n > 0; n /= 2, b *= b)
        if (n % 2) result *= b;
    return result;
}

}  // namespace

Engine::Engine(const Kernels& kernels, const std::vector<StageSpec>& stages, Index parameters)
    : kernels_(kernels), plan_(stages, parameters) {}

Engine::~Engine() = default;

std::unique_ptr<Workspace> Engine::borrow(int threads, Index batch) {
    if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) {
        for (auto& spare : spare_)
            if (spare->threads == threads && spare->batch == batch) {
                auto found = std::move(spare);
                std::swap(spare, spare_.back());
                spare_.pop_back();
                return found;
            }
    }
    return std::make_unique<Workspace>(plan_, threads, batch);
}

void Engine::give_back(std::unique_ptr<Workspace> workspace) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;
    if (spare_.size() == 2) spare_.erase(spare_.begin());
    spare_.push_back(std::move(workspace));
}

bool Engine::predict(const float* parameters, Images images, Index n, bool probabilities,
                     float* out, int threads, const Interrupted& interrupted) {
    auto space = borrow(threads, 0);
    const Passes passes(kernels_, plan_, parameters, space.get());
    passes.turn_all();
    const int M = plan_.classes;
    const std::size_t D = plan_.denses.size();
    // equal chunks, so that no thread waits for a last long one
    const Index rounds = (n + Index(threads) * space->chunk - 1) / (Index(threads) * space->chunk);
    const int chunk = static_cast<int>((n + rounds * threads - 1) / (rounds * threads));
    const Index chunks = (n + chunk - 1) / chunk;
    Stop stop(interrupted);
    const auto run = [&](Index first, int thread) {
        const Arena& arena = space->arenas[thread];
        const DenseRows& rows = space->rows[thread];
        const Look look{stop, thread, plan_.long_work()};
        const int count = static_cast<int>(std::min<Index>(chunk, n - first));
        for (int s = 0; s < count; ++s) {
            if (look.given_up()) return;
            float* features = rows.x[0].get() + s * plan_.features_row;
            passes.input(arena, images, first + s, 0, features);
            passes.forward_convs(arena, first + s, 0, false, features);
        }
        passes.forward_dense(rows, 0, count);
        const float* z = rows.input(plan_, D);
        const Index row = passes.x_row(D);
        if (!probabilities) {
            for (int s = 0; s < count; ++s)
                std::memcpy(out + (first + s) * M, z + s * row, M * sizeof(float));
            return;
        }
        const int lanes = static_cast<int>(round_up(count, sample_lanes));
        float* columns = arena.lanes[0].get();
        std::memset(columns, 0, sizeof(float) * M * lanes);
        kernels_.transpose(z, row, count, M, columns, lanes);
        kernels_.softmax(columns, M, lanes);
        kernels_.transpose(columns, lanes, M, count, out + first * M, M);
    };
    run_team(threads, [&](Team& team) {
        for (Index done = 0; done < chunks && !stop.stopped(); done += most_items)
            team.parallel(static_cast<int>(std::min<Index>(most_items, chunks - done)),
                          [&](int item, int thread) {
                              if (!stop(thread)) run((done + item) * chunk, thread);
                          });
    });
    give_back(std::move(space));
    return !stop.stopped();
}

bool Engine::gradients(const float* parameters, Images images, Targets targets, Index n,
                       float* gradient, double* cost, int threads, const Interrupted& interrupted) {
    threads = useful_threads(threads, n);
    auto space = borrow(threads, n);
    Step step(kernels_, plan_, parameters, *space, {});
    step.begin({images, targets, n}, nullptr);
    step.passes().turn_all();
    for (std::size_t l = 0; l < plan_.convs.size(); ++l)
        step.passes().pack(l, 0, plan_.convs[l].spec.rows, space->packed.get());
    PhaseA phase_a(step, interrupted);
    run_team(threads, [&](Team& team) {
        if (!phase_a.run(team)) return;
        team.parallel(static_cast<int>(plan_.items.size()),
                      [&](int item, int) { step.derivative(plan_.items[item], gradient); });
    });
    *cost = step.cost();
    give_back(std::move(space));
    return !phase_a.stopped();
}

TrainingResult Engine::train(float* parameters, const Training& job, double* costs, int threads,
                             const Interrupted& interrupted) {
    const Index total = static_cast<Index>(job.order.size());
    const Index largest = std::min(job.batch_size, total);
    threads = useful_threads(threads, largest);
    auto space = borrow(threads, largest);
    if (job.regularisation.augmentation)
        space->prepare_augmentation(job.images.rows, job.images.columns, job.images.channels,
                                    job.regularisation.augmentation->radius());
    Step step(kernels_, plan_, parameters, *space, job.regularisation);
    for (std::size_t l = 0; l < plan_.convs.size(); ++l)
        step.passes().pack(l, 0, plan_.convs[l].spec.rows, space->packed.get());
    step.passes().turn_all();
    PhaseA phase_a(step, interrupted);
    float* gradient = space->gradient.get();
    const int items = static_cast<int>(plan_.items.size());
    UpdateRule rule = job.rule;
    double power1 = power(rule.exact_beta1, job.updates);
    double power2 = power(rule.exact_beta2, job.updates);
    const Team::Work phase_b = [&](int n, int) { step.derivative_and_square(n, gradient); };
    const Team::Work phase_c = [&](int n, int) {
        const UpdateItem& item = plan_.items[n];
        kernels_.update(rule, parameters + item.begin, gradient + item.begin,
                        job.m ? job.m + item.begin : nullptr, job.v ? job.v + item.begin : nullptr,
                        item.end - item.begin);
        if (item.kind == UpdateItem::Kind::conv_w)
            step.passes().pack(item.stage, item.first, item.last, space->packed.get());
    };
    const int taps_items = static_cast<int>(plan_.taps_items.size());
    const Team::Work phase_d = [&](int n, int) { step.passes().turn(plan_.taps_items[n]); };
    TrainingResult result;
    run_team(threads, [&](Team& team) {
        for (Index first = 0; first < total; first += job.batch_size, ++result.steps) {
            const Minibatch batch{job.images, job.targets, std::min(job.batch_size, total - first)};
            costs[result.steps] = 0;
            rule.rate = job.rates[result.steps];
            rule.decay = static_cast<float>(job.rates[result.steps] * job.decay);
            power1 *= rule.exact_beta1, power2 *= rule.exact_beta2;
            rule.unbias1 = static_cast<float>(1 / (1 - power1));
            rule.unbias2 = static_cast<float>(1 / (1 - power2));
            if (!step.begin(batch, job.order.data() + first)) continue;
            if (!phase_a.run(team)) return;  // this step is abandoned, the ones before it are whole
            team.parallel(items, phase_b);
            costs[result.steps] = step.cost();
            const double norm = step.norm();
            result.diverged = !std::isfinite(norm) || !std::isfinite(costs[result.steps]);
            if (result.diverged) return;
            rule.scale = job.clip > 0 && norm > job.clip ? static_cast<float>(job.clip / norm) : 1;
            team.parallel(items, phase_c);
            if (taps_items) team.parallel(taps_items, phase_d);
        }
    });
    give_back(std::move(space));
    return result;
}

void Engine::augment(Images images, Index n, const Augmentation& augmentation, std::uint64_t seed,
                     std::uint64_t epoch, float* out) {
    Workspace space(plan_, 1, 1);
    space.prepare_augmentation(images.rows, images.columns, images.channels, augmentation.radius());
    Passes passes(kernels_, plan_, nullptr, &space);
    passes.regularisation = {seed, epoch, 0, false, &augmentation};
    const Index row = Index(images.columns) * images.channels;
    for (Index sample = 0; sample < n; ++sample)
        passes.augmented(space.arenas[0], images, sample,
                         {out + sample * plan_.input, row, images.channels});
}

}  // namespace convlet
