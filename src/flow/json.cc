/* The C face of simdjson's DOM. Invariants: every pointer handed out points into the document's
 * string buffer or into `numbers`, both of which live until the next json_parse; nothing throws
 * across the border, as only the calls that return error codes are used. */
#include "flow/json.h"

#include <charconv>
#include <cstring>
#include <deque>
#include <new>
#include <string>

#include <simdjson.h>

using simdjson::dom::element;
using simdjson::dom::element_type;

/* The text of one number; of a deque, so that it never moves. */
struct number_text {
    char text[32];
};

struct json_parser {
    simdjson::dom::parser dom;
    element root;
    bool valid = false;
    char *padded = nullptr;
    size_t padded_size = 0;
    std::deque<number_text> numbers;
    std::string minified;
};

static_assert(sizeof(element) <= sizeof(json_value::opaque), "an element fits into a value");

static element load(const struct json_value *v)
{
    element e;
    memcpy(static_cast<void *>(&e), v->opaque, sizeof e);
    return e;
}

/* The text of a number, made by `to_chars`. */
template <typename number> static struct bytes format(struct json_parser *p, number n)
{
    number_text &slot = p->numbers.emplace_back();
    auto end = std::to_chars(slot.text, slot.text + sizeof slot.text, n);
    return {slot.text, static_cast<size_t>(end.ptr - slot.text)};
}

static struct bytes text_of(struct json_parser *p, element e)
{
    switch (e.type()) {
    case element_type::STRING: {
        std::string_view s = e.get_string().value_unsafe();
        return {s.data(), s.size()};
    }
    case element_type::INT64:
        return format(p, e.get_int64().value_unsafe());
    case element_type::UINT64:
        return format(p, e.get_uint64().value_unsafe());
    case element_type::DOUBLE:
        return format(p, e.get_double().value_unsafe());
    case element_type::BOOL:
        return e.get_bool().value_unsafe() ? BYTES("true") : BYTES("false");
    default:
        return {"", 0};
    }
}

static enum json_type type_of(element e)
{
    switch (e.type()) {
    case element_type::ARRAY:
        return JSON_ARRAY;
    case element_type::OBJECT:
        return JSON_OBJECT;
    case element_type::STRING:
        return JSON_STRING;
    case element_type::BOOL:
        return JSON_BOOL;
    case element_type::NULL_VALUE:
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

static void store(struct json_parser *p, element e, struct json_value *ret)
{
    ret->type = type_of(e);
    ret->text = text_of(p, e);
    memcpy(ret->opaque, static_cast<const void *>(&e), sizeof e);
}

/* The last field of that name. */
static bool find_field(element from, std::string_view name, element *ret)
{
    if (!from.is_object()) return false;
    bool found = false;
    simdjson::dom::object fields = from.get_object().value_unsafe();
    for (auto field : fields) {
        if (field.key != name) continue;
        *ret = field.value;
        found = true;
    }
    return found;
}

/* Leaves *ret alone when a step of the path is missing. */
static void walk(struct json_parser *p, element at, struct bytes path, struct json_value *ret)
{
    std::string_view rest(path.len > 0 ? path.data : "", path.len);
    for (bool more = path.len > 0; more;) {
        size_t dot = rest.find('.');
        if (!find_field(at, rest.substr(0, dot), &at)) return;
        more = dot != std::string_view::npos;
        if (more) rest.remove_prefix(dot + 1);
    }
    store(p, at, ret);
}

static const char *sentence(simdjson::error_code error)
{
    switch (error) {
    case simdjson::UTF8_ERROR:
        return "the text is not valid UTF-8";
    case simdjson::EMPTY:
        return "the text is empty";
    case simdjson::NUMBER_ERROR:
        return "a number is malformed or an integer is beyond 64 bits";
    case simdjson::STRING_ERROR:
        return "a string is malformed";
    case simdjson::UNCLOSED_STRING:
        return "a string is not closed";
    case simdjson::UNESCAPED_CHARS:
        return "a string holds a control character that is not escaped";
    case simdjson::DEPTH_ERROR:
        return "it is nested more than 1,024 deep, or brackets do not match";
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR:
        return "a word is neither true, false nor null";
    case simdjson::CAPACITY:
        return "the text is too large";
    case simdjson::MEMALLOC:
        return "there is no memory for it";
    default:
        return "the text is not well-formed JSON";
    }
}

static bool pad(struct json_parser *p, struct bytes text)
{
    size_t need = text.len + simdjson::SIMDJSON_PADDING;
    if (need > p->padded_size) {
        size_t size = need < 4096 ? 4096 : need + need / 2;
        char *grown = new (std::nothrow) char[size];
        if (grown == nullptr) return false;
        delete[] p->padded;
        p->padded = grown;
        p->padded_size = size;
    }
    if (text.len > 0) memcpy(p->padded, text.data, text.len);
    memset(p->padded + text.len, 0, simdjson::SIMDJSON_PADDING);
    return true;
}

extern "C" {

struct json_parser *json_parser_new(void)
{
    return new json_parser;
}

void json_parser_free(struct json_parser *p)
{
    if (p == nullptr) return;
    delete[] p->padded;
    delete p;
}

int json_parse(struct json_parser *p, struct bytes text, const char **ret_error)
{
    p->valid = false;
    p->numbers.clear();
    if (!pad(p, text)) {
        *ret_error = sentence(simdjson::MEMALLOC);
        return -1;
    }
    auto error = p->dom.parse(p->padded, text.len, false).get(p->root);
    if (error != simdjson::SUCCESS) {
        *ret_error = sentence(error);
        return -1;
    }
    p->valid = true;
    return 0;
}

void json_get(struct json_parser *p, struct bytes path, struct json_value *ret)
{
    *ret = {};
    if (p->valid) walk(p, p->root, path, ret);
}

void json_field(struct json_parser *p, const struct json_value *object, struct bytes path,
                struct json_value *ret)
{
    struct json_value found = {};
    if (p->valid && object->type != JSON_ABSENT) walk(p, load(object), path, &found);
    *ret = found;
}

size_t json_count(const struct json_value *array)
{
    if (array->type != JSON_ARRAY) return 0;
    /* simdjson's own size() saturates at 2^24 - 1. */
    size_t n = 0;
    simdjson::dom::array elements = load(array).get_array().value_unsafe();
    for (element e : elements) {
        (void)e;
        n++;
    }
    return n;
}

void json_element(struct json_parser *p, const struct json_value *array, size_t index,
                  struct json_value *ret)
{
    struct json_value found = {};
    if (array->type == JSON_ARRAY && p->valid) {
        simdjson::dom::array elements = load(array).get_array().value_unsafe();
        for (element e : elements) {
            if (index-- > 0) continue;
            store(p, e, &found);
            break;
        }
    }
    *ret = found;
}

bool json_each(struct json_parser *p, const struct json_value *object, json_field_fn fn, void *arg)
{
    if (object->type != JSON_OBJECT) return false;
    simdjson::dom::object fields = load(object).get_object().value_unsafe();
    for (auto field : fields) {
        struct json_value value;
        store(p, field.value, &value);
        fn(arg, {field.key.data(), field.key.size()}, &value);
    }
    return true;
}

struct bytes json_minified(struct json_parser *p, const struct json_value *value)
{
    p->minified = value->type == JSON_ABSENT ? std::string() : simdjson::minify(load(value));
    return {p->minified.data(), p->minified.size()};
}
}
