// Prediction: the items of its phases, which every thread of the team takes some of.
#pragma once

#include "look.h"
#include "passes.h"
#include "threads.h"

namespace convlet {

// Many images are cut into chunks, and a thread takes a chunk from its bytes to its probabilities.
// A few go through the stages together: through the convolutions an image a thread, or where there
// are fewer images than threads, an image after the other by rows; through the dense stages by
// columns, so that no two threads read the same weights.  Every number is the same chain of
// operations either way.
class Prediction {
public:
    Prediction(const Kernels& kernels, const Plan& plan, const float* parameters, Workspace& space,
               const Images& images, Index n, bool probabilities, float* out, Stop& stop)
        : k_(kernels),
          plan_(plan),
          space_(space),
          images_(images),
          n_(n),
          probabilities_(probabilities),
          out_(out),
          stop_(stop),
          passes_(kernels, plan, parameters, space) {}

    void run(Team& team) {
        if (team.size > 1 && n_ <= space_.chunk)
            together(team);
        else
            by_chunks(team);
    }

private:
    // Of an image that are copied at a time, some 3 microseconds.
    static constexpr Index floats_an_item = 32768;

    void by_chunks(Team& team) {
        if (!turn(team, plan_.taps_items)) return;
        // equal chunks, so that no thread waits for a last long one
        const Index most = Index(team.size) * space_.chunk;
        const Index rounds = (n_ + most - 1) / most;
        const int chunk = static_cast<int>((n_ + rounds * team.size - 1) / (rounds * team.size));
        team.parallel((n_ + chunk - 1) / chunk, [&](Index item, int thread) {
            const Index first = item * chunk;
            const int count = static_cast<int>(std::min<Index>(chunk, n_ - first));
            const DenseRows& rows = space_.rows[thread];
            Look look(stop_, thread);
            for (int s = 0; s < count; ++s) {
                if (look.given_up(plan_.multiply_adds)) return;
                whole_image(first + s, thread, features(rows, s));
            }
            passes_.forward_dense(rows, 0, count);
            results(rows, first, count, thread);
        });
    }

    void together(Team& team) {
        const DenseRows& rows = space_.rows[0];
        const int n = static_cast<int>(n_);
        const int rest = n % team.size;
        const bool shares = space_.shares_images && 2 * rest <= team.size;
        const int whole = shares ? n - rest : n;
        if (whole && !turn(team, plan_.taps_items)) return;
        if (!team.parallel(whole,
                           [&](Index s, int thread) { whole_image(s, thread, features(rows, s)); }))
            return;
        for (int s = whole; s < n; ++s)
            if (!shared_image(team, s, features(rows, s), whole == 0 && s == 0, s == whole)) return;
        for (std::size_t d = 0; d < plan_.denses.size(); ++d)
            if (!dense_stage(team, rows, d)) return;
        results(rows, 0, n, 0);
    }

    bool turn(Team& team, const std::vector<TapsItem>& items) const {
        return team.parallel(std::ssize(items),
                             [&](Index n, int) { passes_.turn_changed(items[n]); });
    }

    // One image through the convolutions, its stages shared among the threads.  `first` of the call: no
    // kernel is turned yet; `first_shared`: those are not that a part turns for itself.
    bool shared_image(Team& team, Index sample, float* features, bool first, bool first_shared) {
        const Arena& arena = space_.arenas[0];
        const Index taps = first ? std::ssize(space_.shared_taps) : 0;
        const int rows = images_.rows;
        const int step =
            static_cast<int>(std::clamp<Index>(floats_an_item / (plan_.input / rows), 1, rows));
        if (!team.parallel(taps + (rows + step - 1) / step, [&](Index item, int) {
                if (item < taps) return passes_.turn_changed(space_.shared_taps[item]);
                const int row = static_cast<int>(item - taps) * step;
                passes_.input_rows(arena, images_, sample, 0, features, row,
                                   std::min(rows, row + step));
            }))
            return false;
        for (std::size_t l = 0; l < plan_.convs.size(); ++l)
            if (!team.parallel(std::ssize(space_.parts[l]), [&](Index item, int thread) {
                    passes_.forward_part(arena, space_.arenas[thread], l, space_.parts[l][item],
                                         features, first_shared);
                }))
                return false;
        return true;
    }

    bool dense_stage(Team& team, const DenseRows& rows, std::size_t d) {
        const DensePlan& s = plan_.denses[d];
        const int n = static_cast<int>(n_);
        const int columns = plan_.units_at_a_time(s, n, team.size);
        return team.parallel((s.M + columns - 1) / columns, [&](Index item, int) {
            const int first = static_cast<int>(item) * columns;
            passes_.forward_dense_part(rows, d, 0, n, first, std::min(s.M, first + columns));
        });
    }

    float* features(const DenseRows& rows, Index s) const {
        return rows.x[0].get() + s * plan_.features_row;
    }

    void whole_image(Index sample, int thread, float* features) const {
        const Arena& arena = space_.arenas[thread];
        passes_.input(arena, images_, sample, sample, 0, features);
        passes_.forward_convs(arena, sample, 0, false, features);
    }

    // What enters the softmax, or leaves it, of the images whose dense rows these are.
    void results(const DenseRows& rows, Index first, int count, int thread) const {
        const int M = plan_.classes;
        const std::size_t D = plan_.denses.size();
        const float* z = rows.input(plan_, D);
        const Index row = passes_.x_row(D);
        if (!probabilities_) {
            for (int s = 0; s < count; ++s)
                std::memcpy(out_ + (first + s) * M, z + s * row, M * sizeof(float));
            return;
        }
        const int lanes = static_cast<int>(round_up(count, sample_lanes));
        float* columns = space_.arenas[thread].lanes[0].get();
        std::memset(columns, 0, sizeof(float) * M * lanes);
        k_.transpose(z, row, count, M, columns, lanes);
        k_.softmax(columns, M, lanes);
        k_.transpose(columns, lanes, M, count, out_ + first * M, M);
    }

    const Kernels& k_;
    const Plan& plan_;
    const Workspace& space_;
    const Images& images_;
    const Index n_;
    const bool probabilities_;
    float* const out_;
    Stop& stop_;
    const Passes passes_;
};

}  // namespace convlet
