// Stand-in for vision_msgs.
#pragma once
#include <std_msgs/msg/header.hpp>
#include <vector>

namespace vision_msgs::msg {
struct VisionClass {
    uint16_t class_id = 0;
    std::string class_name;
};

struct LabelInfo {
    std_msgs::msg::Header header;
    std::vector<VisionClass> class_map;
    float threshold = 0;
};
}  // namespace vision_msgs::msg
