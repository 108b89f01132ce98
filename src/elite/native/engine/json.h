// Strict reader of JSON (RFC 8259) for the metadata of model files: bounded depth, no duplicate keys, no text after the
// value, numbers as double.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace elite {

class Json {
  public:
    // Throws Error for anything but one JSON value.
    static Json parse(std::string_view text);

    // Each throws Error if the value has another type, or an object lacks the key. ``integer`` accepts whole numbers of
    // at most 2^53.
    const std::string& string() const;
    double number() const;
    int64_t integer() const;
    const std::vector<Json>& items() const;
    const std::vector<std::pair<std::string, Json>>& members() const;
    const Json& at(std::string_view key) const;

    // Null if the object lacks the key or its value is null.
    const Json* find(std::string_view key) const;

  private:
    enum class Kind { Null, Boolean, Number, String, Array, Object };
    friend class JsonReader;
    void require(Kind kind, const char* name) const;

    Kind kind_ = Kind::Null;
    double number_ = 0;
    std::string string_;
    std::vector<Json> items_;
    std::vector<std::pair<std::string, Json>> members_;
};

}  // namespace elite
