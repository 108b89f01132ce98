// Memory that is reused from one scan to the next.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <vector>

namespace elite {

struct Free {
    void operator()(void* p) const { std::free(p); }
};

// Uninitialised bytes, aligned to cache lines.
class Block {
  public:
    Block() = default;
    explicit Block(int64_t size) : size_(size) {
        constexpr int64_t line = 64;
        if (size < 0 || size > std::numeric_limits<int64_t>::max() - line) throw std::bad_alloc();
        memory_.reset(std::aligned_alloc(line, (static_cast<size_t>(size) + line) / line * line));
        if (!memory_) throw std::bad_alloc();
    }
    void* data() const { return memory_.get(); }
    int64_t size() const { return size_; }

  private:
    std::unique_ptr<void, Free> memory_;
    int64_t size_ = 0;
};

// Blocks in the order in which a call takes them. Calls take the same ones in the same order, so the k-th block has one
// purpose and becomes as large as the largest request for it so far.
class Arena {
  public:
    // Start a call. It overwrites what earlier ones have taken.
    void restart() { next_ = 0; }

    template <class T>
    T* take(int64_t count) {
        if (count > std::numeric_limits<int64_t>::max() / static_cast<int64_t>(sizeof(T))) throw std::bad_alloc();
        if (next_ == blocks_.size()) blocks_.emplace_back();
        Block& block = blocks_[next_++];
        const int64_t needed = count * static_cast<int64_t>(sizeof(T));
        if (!block.data() || block.size() < needed) {
            block = Block();  // frees it first
            block = Block(needed);
        }
        return static_cast<T*>(block.data());
    }

    int64_t bytes() const {
        int64_t sum = 0;
        for (const Block& block : blocks_) sum += block.size();
        return sum;
    }

  private:
    std::vector<Block> blocks_;
    size_t next_ = 0;
};

}  // namespace elite
