// Stand-in for rclcpp_components: the program that links the node makes it by this function.
#pragma once
#include <rclcpp/rclcpp.hpp>

#define RCLCPP_COMPONENTS_REGISTER_NODE(Class) \
    std::shared_ptr<rclcpp::Node> make_component(const rclcpp::NodeOptions& options) { return std::make_shared<Class>(options); }
