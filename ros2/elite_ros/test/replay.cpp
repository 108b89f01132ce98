// Run the node on messages of a file, without ROS: replay IN OUT [NAME:=VALUE ...]
//
// IN contains PointCloud2 messages, each as its length (uint32) and its CDR bytes. OUT gets every published message, as the
// length and the bytes of its topic, whether it is latched (1 byte), and the length and the bytes of the message. Values of
// parameters have the type that the node declares, such as threads:=1 and fill_radius:=2.0.
#include <rclcpp/rclcpp.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "cdr.hpp"

std::shared_ptr<rclcpp::Node> make_component(const rclcpp::NodeOptions& options);  // by the macro of label_node.cpp

namespace {

using sensor_msgs::msg::PointCloud2;

template <class T>
void write_number(std::ofstream& file, T value) {
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

// Clouds of a report that are labelled, dropped or failed.
uint64_t finished(const diagnostic_msgs::msg::DiagnosticArray& report) {
    uint64_t clouds = 0;
    for (const auto& entry : report.status.at(0).values)
        if (entry.key == "clouds labelled" || entry.key == "clouds dropped" || entry.key == "clouds failed")
            clouds += std::stoull(entry.value);
    return clouds;
}
uint64_t finished(const PointCloud2&) { return 0; }
uint64_t finished(const vision_msgs::msg::LabelInfo&) { return 0; }

// Writes what is published by any thread.
class Recorder {
  public:
    explicit Recorder(const char* path) : file_(path, std::ios::binary) {}

    template <class Message>
    void record() {
        rclcpp::Topics<Message>::recorder = [this](const std::string& topic, const rclcpp::QoS& qos, const Message& message) {
            const cdr::Bytes bytes = cdr::encode(message);
            const std::lock_guard<std::mutex> lock(mutex_);
            write_number(file_, static_cast<uint32_t>(topic.size()));
            file_.write(topic.data(), static_cast<std::streamsize>(topic.size()));
            write_number(file_, static_cast<uint8_t>(qos.is_latched));
            write_number(file_, static_cast<uint32_t>(bytes.size()));
            file_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
            finished_ = std::max(finished_, finished(message));
        };
    }

    uint64_t finished_clouds() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return finished_;
    }

  private:
    uint64_t finished_ = 0;
    std::ofstream file_;
    std::mutex mutex_;
};

rclcpp::ParameterValue value_of(const std::string& text) {
    if (text == "true" || text == "false") return text == "true";
    if (text.find_first_not_of("-0123456789") == std::string::npos && !text.empty()) return int64_t(std::stoll(text));
    if (text.find_first_not_of("-0123456789.e") == std::string::npos && !text.empty()) return std::stod(text);
    if (text.front() != '[') return text;
    std::vector<double> numbers;
    for (size_t at = 1; at < text.size() && text[at] != ']'; at = text.find_first_of(",]", at) + 1)
        numbers.push_back(std::stod(text.substr(at)));
    return numbers;
}

std::vector<PointCloud2> messages_of(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<PointCloud2> messages;
    uint32_t length;
    while (file.read(reinterpret_cast<char*>(&length), sizeof length)) {
        cdr::Bytes bytes(length);
        file.read(reinterpret_cast<char*>(bytes.data()), length);
        messages.push_back(cdr::decode(bytes));
    }
    return messages;
}

int run(int argc, char** argv) {
    std::vector<rclcpp::Parameter> parameters;
    for (int i = 3; i < argc; ++i) {
        const std::string text = argv[i];
        const size_t split = text.find(":=");
        parameters.emplace_back(text.substr(0, split), value_of(text.substr(split + 2)));
    }
    Recorder recorder(argv[2]);
    recorder.record<PointCloud2>();
    recorder.record<vision_msgs::msg::LabelInfo>();
    recorder.record<diagnostic_msgs::msg::DiagnosticArray>();
    const auto node = make_component(rclcpp::NodeOptions().parameter_overrides(parameters).use_intra_process_comms(true));
    const auto& [topic, receive] = *rclcpp::Topics<PointCloud2>::subscribers.begin();
    std::printf("subscribed to %s\n", topic.c_str());
    uint64_t sent = 0;
    for (const PointCloud2& message : messages_of(argv[1])) {
        receive(std::make_shared<PointCloud2>(message));
        ++sent;
    }
    do {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        for (const auto& fire : rclcpp::TimerBase::all) fire();
    } while (recorder.finished_clouds() < sent);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: %s IN OUT [NAME:=VALUE ...]\n", argv[0]), 2;
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return std::fprintf(stderr, "%s\n", error.what()), 1;
    }
}
