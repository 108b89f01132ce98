// The exception of the engine, which library.cpp converts to a status and a message.
#pragma once
#include <stdexcept>
#include <string>

#include "../include/elite.h"

namespace elite {

// Messages have the form "subject: expected this, found that. Remedy."
struct Error : std::runtime_error {
    elite_status status;
    Error(elite_status status, const std::string& message) : std::runtime_error(message), status(status) {}
};

[[noreturn]] inline void damaged(const std::string& found) {
    throw Error(ELITE_ERROR_MODEL, "model: expected a file of 'elite export', found " + found + ". Export it again.");
}

}  // namespace elite
