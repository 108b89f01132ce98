#include "json.h"

#include <cmath>
#include <cstdlib>

#include "error.h"

namespace elite {

class JsonReader {
  public:
    explicit JsonReader(std::string_view text) : text_(text) {}

    Json document() {
        Json value = read(0);
        skip_blanks();
        if (at_ != text_.size()) damaged("text after the metadata");
        return value;
    }

  private:
    static constexpr int DEEPEST = 16;
    static constexpr size_t MOST_MEMBERS = 1 << 13;  // each is compared with all others

    Json read(int depth) {
        if (depth > DEEPEST) damaged("metadata that are nested too deeply");
        skip_blanks();
        Json value;
        switch (peek()) {
            case '{': read_object(value, depth); break;
            case '[': read_array(value, depth); break;
            case '"':
                value.kind_ = Json::Kind::String;
                value.string_ = read_string();
                break;
            case 't': word("true", value, Json::Kind::Boolean, 1); break;
            case 'f': word("false", value, Json::Kind::Boolean, 0); break;
            case 'n': word("null", value, Json::Kind::Null, 0); break;
            default: read_number(value);
        }
        return value;
    }

    void read_object(Json& value, int depth) {
        value.kind_ = Json::Kind::Object;
        take('{');
        if (accept('}')) return;
        do {
            skip_blanks();
            std::string key = read_string();
            for (const auto& member : value.members_)
                if (member.first == key) damaged("a repeated key in the metadata");
            skip_blanks();
            take(':');
            value.members_.emplace_back(std::move(key), read(depth + 1));
            if (value.members_.size() > MOST_MEMBERS) damaged("too many keys in the metadata");
        } while (accept(','));
        take('}');
    }

    void read_array(Json& value, int depth) {
        value.kind_ = Json::Kind::Array;
        take('[');
        if (accept(']')) return;
        do value.items_.push_back(read(depth + 1));
        while (accept(','));
        take(']');
    }

    std::string read_string() {
        std::string out;
        for (take('"'); peek() != '"'; ++at_) {
            const auto c = static_cast<unsigned char>(text_[at_]);
            if (c < 0x20) damaged("a control character in the metadata");
            if (c != '\\') {
                out += text_[at_];
                continue;
            }
            ++at_;
            append_escape(out);
        }
        ++at_;
        return out;
    }

    // Append the escape that starts at the current character, the one after the backslash, and move to its last one.
    void append_escape(std::string& out) {
        constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        const char letter = peek();
        const size_t found = letters.find(letter);
        if (found != letters.npos) {
            out += meanings[found];
            return;
        }
        if (letter != 'u') damaged("an unknown escape in the metadata");
        uint32_t code = hexadecimal();
        if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_ + 1, 2) == "\\u") {
            at_ += 2;
            const uint32_t low = hexadecimal();
            if (low < 0xDC00 || low > 0xDFFF) damaged("half a character in the metadata");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        if (code == 0 || (code >= 0xD800 && code <= 0xDFFF)) damaged("an impossible character in the metadata");
        append_utf8(out, code);
    }

    // The four digits after the current character, an 'u'; moves to the last digit.
    uint32_t hexadecimal() {
        uint32_t code = 0;
        for (int i = 0; i < 4; ++i) {
            ++at_;
            const char c = peek();
            const std::string_view digits = "0123456789abcdef";
            const size_t digit = digits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
            if (digit == digits.npos) damaged("an unknown escape in the metadata");
            code = code << 4 | static_cast<uint32_t>(digit);
        }
        return code;
    }

    static void append_utf8(std::string& out, uint32_t code) {
        const auto add = [&](uint32_t byte) { out += static_cast<char>(byte); };
        if (code < 0x80) return add(code);
        if (code < 0x800) {
            add(0xC0 | code >> 6);
        } else if (code < 0x10000) {
            add(0xE0 | code >> 12);
            add(0x80 | (code >> 6 & 0x3F));
        } else {
            add(0xF0 | code >> 18);
            add(0x80 | (code >> 12 & 0x3F));
            add(0x80 | (code >> 6 & 0x3F));
        }
        add(0x80 | (code & 0x3F));
    }

    void read_number(Json& value) {
        const size_t start = at_;
        if (peek() == '-') ++at_;
        const size_t whole = digits();
        if (whole == 0 || (whole > 1 && text_[at_ - whole] == '0')) damaged("metadata that are not JSON");
        if (next_is('.') && (++at_, digits() == 0)) damaged("metadata that are not JSON");
        if (next_is('e') || next_is('E')) {
            ++at_;
            if (next_is('+') || next_is('-')) ++at_;
            if (digits() == 0) damaged("metadata that are not JSON");
        }
        value.kind_ = Json::Kind::Number;
        value.number_ = std::strtod(std::string(text_.substr(start, at_ - start)).c_str(), nullptr);
        if (!std::isfinite(value.number_)) damaged("a number that is too large in the metadata");
    }

    size_t digits() {
        const size_t start = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
        return at_ - start;
    }

    void word(std::string_view letters, Json& value, Json::Kind kind, double number) {
        if (text_.substr(at_, letters.size()) != letters) damaged("metadata that are not JSON");
        at_ += letters.size();
        value.kind_ = kind;
        value.number_ = number;
    }

    void skip_blanks() {
        while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
    }
    char peek() const {
        if (at_ >= text_.size()) damaged("metadata that end early");
        return text_[at_];
    }
    bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
    void take(char c) {
        if (peek() != c) damaged("metadata that are not JSON");
        ++at_;
    }
    bool accept(char c) {
        skip_blanks();
        if (peek() != c) return false;
        ++at_;
        return true;
    }

    std::string_view text_;
    size_t at_ = 0;
};

Json Json::parse(std::string_view text) { return JsonReader(text).document(); }

void Json::require(Kind kind, const char* name) const {
    if (kind_ != kind) damaged(std::string("metadata with another value where ") + name + " belongs");
}

const std::string& Json::string() const {
    require(Kind::String, "text");
    return string_;
}

double Json::number() const {
    require(Kind::Number, "a number");
    return number_;
}

int64_t Json::integer() const {
    require(Kind::Number, "a whole number");
    if (std::fabs(number_) > 9007199254740992.0 || number_ != std::floor(number_)) damaged("a number that is not whole");
    return static_cast<int64_t>(number_);
}

const std::vector<Json>& Json::items() const {
    require(Kind::Array, "a list");
    return items_;
}

const std::vector<std::pair<std::string, Json>>& Json::members() const {
    require(Kind::Object, "an object");
    return members_;
}

const Json* Json::find(std::string_view key) const {
    for (const auto& [name, value] : members())
        if (name == key) return value.kind_ == Kind::Null ? nullptr : &value;
    return nullptr;
}

const Json& Json::at(std::string_view key) const {
    const Json* found = find(key);
    if (!found) damaged("metadata without '" + std::string(key) + "'");
    return *found;
}

}  // namespace elite
