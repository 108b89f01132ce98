// Stand-in for std_msgs, with the members that label_node.cpp uses.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace builtin_interfaces::msg {
struct Time {
    int32_t sec = 0;
    uint32_t nanosec = 0;
};
}  // namespace builtin_interfaces::msg

namespace std_msgs::msg {
struct Header {
    builtin_interfaces::msg::Time stamp;
    std::string frame_id;
};
}  // namespace std_msgs::msg
