// Clouds that wait for the thread that labels them.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace elite_ros {

enum class DropPolicy {
    Latest,  // only the newest cloud waits; those before it are dropped
    None     // all clouds wait
};

inline DropPolicy drop_policy_of(const std::string& name) {
    if (name == "latest") return DropPolicy::Latest;
    if (name == "none") return DropPolicy::None;
    throw std::runtime_error("drop: expected latest or none, found '" + name + "'. Change the parameter.");
}

// May be used by several threads at once.
template <class T>
class CloudQueue {
  public:
    explicit CloudQueue(DropPolicy policy) : policy_(policy) {}

    // Return how many items were dropped.
    uint64_t push(T item) {
        uint64_t dropped = 0;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (policy_ == DropPolicy::Latest) {
                dropped = items_.size();
                items_.clear();
            }
            items_.push_back(std::move(item));
        }
        changed_.notify_one();
        return dropped;
    }

    // Wait for the oldest item. Nothing after ``close``, whose waiting items are lost.
    std::optional<T> pop() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
        if (closed_) return {};
        T item = std::move(items_.front());
        items_.pop_front();
        return item;
    }

    void close() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        changed_.notify_all();
    }

    uint64_t size() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return items_.size();
    }

  private:
    const DropPolicy policy_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace elite_ros
