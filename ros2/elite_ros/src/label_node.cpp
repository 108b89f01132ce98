// ROS 2 node: PointCloud2 in, the same cloud with class_id, probability and entropy out. README.md has the parameters.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <diagnostic_msgs/msg/diagnostic_array.hpp>
#include <rclcpp/rclcpp.hpp>
#include <rclcpp_components/register_node_macro.hpp>
#include <sensor_msgs/msg/point_cloud2.hpp>
#include <vision_msgs/msg/label_info.hpp>

#include "elite_ros/cloud_queue.hpp"
#include "elite_ros/labeller.hpp"
#include "elite_ros/statistics.hpp"

namespace elite_ros {
namespace {

using diagnostic_msgs::msg::DiagnosticArray;
using diagnostic_msgs::msg::DiagnosticStatus;
using sensor_msgs::msg::PointCloud2;
using vision_msgs::msg::LabelInfo;
using Clock = std::chrono::steady_clock;

constexpr auto DIAGNOSTICS_PERIOD = std::chrono::seconds(1);
constexpr int LOG_PERIOD_MS = 1000;
constexpr size_t INPUT_DEPTH = 10, OUTPUT_DEPTH = 10;

struct Arrival {
    PointCloud2::ConstSharedPtr message;
    Clock::time_point time;
};

PointCloud view_of(const PointCloud2& message) {
    PointCloud cloud;
    cloud.height = message.height;
    cloud.width = message.width;
    for (const auto& field : message.fields)
        cloud.fields.push_back({field.name, field.offset, field.datatype, field.count});
    cloud.is_bigendian = message.is_bigendian;
    cloud.point_step = message.point_step;
    cloud.row_step = message.row_step;
    cloud.data = message.data.data();
    cloud.size = message.data.size();
    return cloud;
}

std::unique_ptr<PointCloud2> message_of(const PointCloud2& original, LabelledCloud&& cloud) {
    auto message = std::make_unique<PointCloud2>();
    message->header = original.header;
    message->height = original.height;
    message->width = original.width;
    for (const PointField& field : cloud.fields) {
        sensor_msgs::msg::PointField copy;
        copy.name = field.name;
        copy.offset = field.offset;
        copy.datatype = field.datatype;
        copy.count = field.count;
        message->fields.push_back(copy);
    }
    message->is_bigendian = original.is_bigendian;
    message->point_step = cloud.point_step;
    message->row_step = cloud.row_step;
    message->data = std::move(cloud.data);
    message->is_dense = original.is_dense;
    return message;
}

unsigned char level_of(Health health) {
    switch (health) {
        case Health::Ok: return DiagnosticStatus::OK;
        case Health::Warning: return DiagnosticStatus::WARN;
        default: return DiagnosticStatus::ERROR;
    }
}

}  // namespace

class LabelNode : public rclcpp::Node {
  public:
    explicit LabelNode(const rclcpp::NodeOptions& options)
        : Node("elite", options),
          labeller_(declare_parameter<std::string>("model", ""), labeller_options()),
          queue_(drop_policy_of(declare_parameter<std::string>("drop", "latest"))),
          input_(declare_parameter<std::string>("input", "points")),
          output_(declare_parameter<std::string>("output", input_ + "_labelled")) {
        clouds_ = create_publisher<PointCloud2>(output_, rclcpp::QoS(OUTPUT_DEPTH));
        names_ = create_publisher<LabelInfo>(output_ + "/label_info", rclcpp::QoS(1).transient_local(), between_processes());
        diagnostics_ = create_publisher<DiagnosticArray>("/diagnostics", rclcpp::QoS(OUTPUT_DEPTH));
        subscription_ = create_subscription<PointCloud2>(
            input_, rclcpp::SensorDataQoS().keep_last(INPUT_DEPTH),
            [this](PointCloud2::ConstSharedPtr message) { receive(std::move(message)); });
        timer_ = create_wall_timer(DIAGNOSTICS_PERIOD, [this] { publish_diagnostics(); });
        RCLCPP_INFO(get_logger(), "%s -> %s (%s)", input_.c_str(), output_.c_str(), labeller_.description().c_str());
        publish_class_names();
        worker_ = std::thread([this] { label_clouds(); });  // last: an exception after it would end the process
    }

    ~LabelNode() override {
        subscription_.reset();
        queue_.close();
        worker_.join();
    }

  private:
    // Latched topics within a process are an error before ROS 2 Jazzy.
    static rclcpp::PublisherOptions between_processes() {
        rclcpp::PublisherOptions options;
        options.use_intra_process_comm = rclcpp::IntraProcessSetting::Disable;
        return options;
    }

    LabellerOptions labeller_options() {
        LabellerOptions options;
        options.threads = declare_parameter<int64_t>("threads", 0);
        options.precision = declare_parameter<std::string>("precision", "");
        options.fill_radius = static_cast<float>(declare_parameter<double>("fill_radius", 0.0));
        options.intensity_field = declare_parameter<std::string>("intensity_field", "");
        options.intensity_max = static_cast<float>(declare_parameter<double>("intensity_max", 0.0));
        options.use_intensity = declare_parameter<bool>("use_intensity", true);
        options.axes = declare_parameter<std::string>("axes", "");
        options.height = static_cast<float>(declare_parameter<double>("height", 0.0));
        options.ego_box = declare_parameter<std::vector<double>>("ego_box", std::vector<double>{});
        return options;
    }

    void publish_class_names() {
        LabelInfo info;
        info.header.stamp = now();
        for (const auto& [class_id, name] : labeller_.class_names()) {
            vision_msgs::msg::VisionClass entry;
            entry.class_id = static_cast<uint16_t>(class_id);
            entry.class_name = name;
            info.class_map.push_back(entry);
        }
        names_->publish(info);
    }

    void receive(PointCloud2::ConstSharedPtr message) {
        statistics_.add_dropped(queue_.push({std::move(message), Clock::now()}));
    }

    // Of the worker's thread.
    void label_clouds() {
        while (const auto arrival = queue_.pop()) {
            try {
                label(*arrival);
            } catch (const std::exception& error) {  // of one cloud; the next one may be sound
                statistics_.add_failed(error.what());
                RCLCPP_ERROR_THROTTLE(get_logger(), *get_clock(), LOG_PERIOD_MS, "%s: %s", input_.c_str(), error.what());
            }
        }
    }

    void label(const Arrival& arrival) {
        Labelled labelled = labeller_.label(view_of(*arrival.message));
        clouds_->publish(message_of(*arrival.message, std::move(labelled.cloud)));
        const std::chrono::duration<double> latency = Clock::now() - arrival.time;
        statistics_.add_labelled(latency.count(), labelled.measured, labelled.answered, labelled.bright);
    }

    void publish_diagnostics() {
        const Report report = statistics_.report(queue_.size());
        DiagnosticStatus status;
        status.level = level_of(report.health);
        status.name = std::string(get_fully_qualified_name()) + ": labels";
        status.message = report.summary;
        status.hardware_id = labeller_.description();
        for (const auto& [key, value] : report.values) {
            diagnostic_msgs::msg::KeyValue entry;
            entry.key = key;
            entry.value = value;
            status.values.push_back(entry);
        }
        DiagnosticArray array;
        array.header.stamp = now();
        array.status.push_back(status);
        diagnostics_->publish(array);
    }

    Labeller labeller_;
    CloudQueue<Arrival> queue_;
    Statistics statistics_;
    std::string input_, output_;
    rclcpp::Publisher<PointCloud2>::SharedPtr clouds_;
    rclcpp::Publisher<LabelInfo>::SharedPtr names_;
    rclcpp::Publisher<DiagnosticArray>::SharedPtr diagnostics_;
    rclcpp::Subscription<PointCloud2>::SharedPtr subscription_;
    rclcpp::TimerBase::SharedPtr timer_;
    std::thread worker_;
};

}  // namespace elite_ros

RCLCPP_COMPONENTS_REGISTER_NODE(elite_ros::LabelNode)
