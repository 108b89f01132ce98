// Stand-in for rclcpp, with the interface that label_node.cpp uses, in one process and without middleware. It shows that the
// node compiles and does its work. It does not show that the node runs under ROS.
#pragma once
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <std_msgs/msg/header.hpp>

namespace rclcpp {

class QoS {
  public:
    explicit QoS(size_t depth) : depth(depth) {}
    QoS& keep_last(size_t count) { return depth = count, *this; }
    QoS& transient_local() { return is_latched = true, *this; }
    size_t depth;
    bool is_latched = false;
};

struct SensorDataQoS : QoS {
    SensorDataQoS() : QoS(5) {}
};

// Values as those of the command line: of one type, without conversions.
using ParameterValue = std::variant<bool, int64_t, double, std::string, std::vector<double>>;

class Parameter {
  public:
    Parameter(std::string name, ParameterValue value) : name(std::move(name)), value(std::move(value)) {}
    std::string name;
    ParameterValue value;
};

enum class IntraProcessSetting { Enable, Disable, NodeDefault };

struct PublisherOptions {
    IntraProcessSetting use_intra_process_comm = IntraProcessSetting::NodeDefault;
};

class NodeOptions {
  public:
    NodeOptions& use_intra_process_comms(bool value) { return is_intra_process = value, *this; }
    NodeOptions& parameter_overrides(const std::vector<Parameter>& values) { return overrides = values, *this; }
    std::vector<Parameter> overrides;
    bool is_intra_process = false;
};

// Topics of the process: what is published reaches the subscribers, and is recorded.
template <class Message>
struct Topics {
    static inline std::map<std::string, std::function<void(std::shared_ptr<const Message>)>> subscribers;
    static inline std::function<void(const std::string& topic, const QoS& qos, const Message& message)> recorder;
};

template <class Message>
class Publisher {
  public:
    using SharedPtr = std::shared_ptr<Publisher>;
    Publisher(std::string topic, QoS qos) : topic_(std::move(topic)), qos_(qos) {}
    void publish(const Message& message) {
        if (Topics<Message>::recorder) Topics<Message>::recorder(topic_, qos_, message);
    }
    void publish(std::unique_ptr<Message> message) { publish(*message); }

  private:
    std::string topic_;
    QoS qos_;
};

template <class Message>
class Subscription {
  public:
    using SharedPtr = std::shared_ptr<Subscription>;
};

// Timers run when the program calls ``all``.
class TimerBase {
  public:
    using SharedPtr = std::shared_ptr<TimerBase>;
    static inline std::vector<std::function<void()>> all;
};

struct Clock {};

struct Logger {};

class Node {
  public:
    explicit Node(std::string name, const NodeOptions& options = {}) : name_("/" + name), options_(options) {}
    virtual ~Node() = default;

    template <class T>
    T declare_parameter(const std::string& name, const T& value) {
        for (const Parameter& given : options_.overrides)
            if (given.name == name) return std::get<T>(given.value);
        return value;
    }
    template <class Message>
    typename Publisher<Message>::SharedPtr create_publisher(const std::string& topic, const QoS& qos,
                                                             const PublisherOptions& options = {}) {
        const bool is_default = options.use_intra_process_comm == IntraProcessSetting::NodeDefault;
        const bool is_enabled = options.use_intra_process_comm == IntraProcessSetting::Enable;
        if (qos.is_latched && (is_enabled || (is_default && options_.is_intra_process)))  // as in Humble and Iron
            throw std::invalid_argument("intraprocess communication allowed only with volatile durability");
        return std::make_shared<Publisher<Message>>(topic, qos);
    }
    template <class Message, class Callback>
    typename Subscription<Message>::SharedPtr create_subscription(const std::string& topic, const QoS&, Callback callback) {
        if (topic.find(' ') != std::string::npos) throw std::invalid_argument("Invalid topic name: " + topic);
        Topics<Message>::subscribers[topic] = callback;
        return std::make_shared<Subscription<Message>>();
    }
    template <class Duration, class Callback>
    TimerBase::SharedPtr create_wall_timer(Duration, Callback callback) {
        TimerBase::all.push_back(callback);
        return std::make_shared<TimerBase>();
    }
    builtin_interfaces::msg::Time now() const { return {}; }
    std::shared_ptr<Clock> get_clock() const { return std::make_shared<Clock>(); }
    Logger get_logger() const { return {}; }
    const char* get_fully_qualified_name() const { return name_.c_str(); }

  private:
    std::string name_;
    NodeOptions options_;
};

}  // namespace rclcpp

#define RCLCPP_INFO(logger, ...) ((void)(logger), std::printf(__VA_ARGS__), (void)std::putchar('\n'))
#define RCLCPP_ERROR_THROTTLE(logger, clock, period_ms, ...) \
    ((void)(logger), (void)(clock), (void)(period_ms), std::fprintf(stderr, __VA_ARGS__), (void)std::fputc('\n', stderr))
