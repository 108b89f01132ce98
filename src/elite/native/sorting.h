// Shared by all sorting functions: radix sort of integer keys with their rows, and jobs on threads.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

// Result of the sorting functions: those of geometry.h, and elite_lovasz_steps.
enum EliteStatus : int32_t {
    ELITE_DONE = 0,
    ELITE_TOO_LARGE = 1,  // the indices do not fit into the keys; PyTorch can compute the result
    ELITE_NO_MEMORY = 2,
};

namespace {  // one per file: an exception is thrown and caught in the same file

struct TooLarge {};

// Uninitialised scratch memory; a vector would first write zeros to every page.
template <class T>
std::unique_ptr<T[]> room(int64_t count) {
    return std::unique_ptr<T[]>(new T[std::max<int64_t>(1, count)]);
}

// Run all jobs on as many threads as torch uses, and convert exceptions into a status.
template <class Job>
int32_t run(int64_t jobs, const Job& job) {
    int32_t status = ELITE_DONE;
    const int threads = std::max<int>(1, std::min<int64_t>(jobs, omp_get_max_threads()));
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t j = 0; j < jobs; ++j) {
        int32_t job_status = ELITE_DONE;
        try {
            job(j);
        } catch (const TooLarge&) {
            job_status = ELITE_TOO_LARGE;
        } catch (const std::bad_alloc&) {
            job_status = ELITE_NO_MEMORY;
        }
        if (job_status != ELITE_DONE) {
#pragma omp atomic write
            status = job_status;
        }
    }
    return status;
}

inline int bits_for(uint64_t largest) { return largest ? 64 - __builtin_clzll(largest) : 0; }

// An entry is a word with a key in the high bits and its row in the low bits. Sorting keeps rows of one key ascending.
struct Entries {
    std::unique_ptr<uint64_t[]> words, spare;
    int64_t size;
    int row_bits, key_bits;

    Entries(int64_t rows, int bits) : size(rows), row_bits(bits_for(uint64_t(rows))), key_bits(bits) {
        if (row_bits > 31 || row_bits + key_bits > 63) throw TooLarge();
        words = room<uint64_t>(rows);
        spare = room<uint64_t>(rows);
    }
    void set(int64_t row, uint64_t key) { words[row] = key << row_bits | uint64_t(row); }
    uint64_t key(int64_t i) const { return words[i] >> row_bits; }
    int64_t row(int64_t i) const { return int64_t(words[i] & ((uint64_t(1) << row_bits) - 1)); }
};

constexpr int DIGIT = 13;  // most bits per pass: its counters fit into 32 KiB of the first-level cache

// Stable sort, from the lowest digit of the key to the highest.
inline void sort(Entries& entries) {
    const int passes = (entries.key_bits + DIGIT - 1) / DIGIT;
    if (!passes) return;
    const int digit = (entries.key_bits + passes - 1) / passes;
    const uint64_t mask = (uint64_t(1) << digit) - 1;
    std::vector<uint32_t> counts(size_t(passes) << digit);
    for (int64_t i = 0; i < entries.size; ++i) {
        uint64_t key = entries.key(i);
        for (int pass = 0; pass < passes; ++pass, key >>= digit) ++counts[(size_t(pass) << digit) + (key & mask)];
    }
    for (int pass = 0; pass < passes; ++pass) {
        uint32_t* place = &counts[size_t(pass) << digit];
        uint32_t before = 0;
        for (uint64_t value = 0; value <= mask; ++value) {
            const uint32_t count = place[value];
            place[value] = before;
            before += count;
        }
        const int shift = entries.row_bits + pass * digit;
        for (int64_t i = 0; i < entries.size; ++i) {
            const uint64_t word = entries.words[i];
            entries.spare[place[word >> shift & mask]++] = word;
        }
        std::swap(entries.words, entries.spare);
    }
}

}  // namespace
