/* Reads and writes JSON (RFC 8259). Objects are lists, in the order in which they were written. */
#include "json.h"

typedef enum { NOTHING, BOOLEAN, NUMBER, TEXT, ARRAY, OBJECT } kind;

struct pw_json {
    kind kind;
    bool boolean;
    double number;
    pw_text text;
    /* Of a member its name; of a container its first and of every value its next. */
    pw_text name;
    pw_json *first, *next;
};

static pw_json *make(kind kind) {
    pw_json *value = malloc(sizeof *value);
    *value = (pw_json){.kind = kind};
    return value;
}

/* ---- Reading. ---- */

typedef struct {
    const uint8_t *at, *end;
    uint32_t depth;
    bool wrong;
} reader;

static pw_json *read_value(reader *in);

static void skip(reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t')) in->at++;
}

static bool take(reader *in, uint8_t byte) {
    skip(in);
    bool there = in->at < in->end && *in->at == byte;
    if (there) in->at++;
    return there;
}

static bool take_word(reader *in, const char *word) {
    size_t length = strlen(word);
    bool there = (size_t)(in->end - in->at) >= length && memcmp(in->at, word, length) == 0;
    if (there) in->at += length;
    return there;
}

static uint32_t read_hex(reader *in) {
    uint32_t code = 0;
    for (int digit = 0; digit < 4; digit++) {
        uint8_t byte = in->at < in->end ? *in->at++ : 0;
        uint8_t low = byte | 32;
        if (byte >= '0' && byte <= '9') code = code * 16 + (uint32_t)(byte - '0');
        else if (low >= 'a' && low <= 'f') code = code * 16 + (uint32_t)(low - 'a') + 10;
        else in->wrong = true;
    }
    return code;
}

static void push_utf8(pw_buffer *out, uint32_t code) {
    if (code < 0x80) {
        pw_push_byte(out, (uint8_t)code);
    } else if (code < 0x800) {
        pw_push_byte(out, (uint8_t)(0xc0 | code >> 6));
        pw_push_byte(out, (uint8_t)(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        pw_push_byte(out, (uint8_t)(0xe0 | code >> 12));
        pw_push_byte(out, (uint8_t)(0x80 | (code >> 6 & 63)));
        pw_push_byte(out, (uint8_t)(0x80 | (code & 63)));
    } else {
        pw_push_byte(out, (uint8_t)(0xf0 | code >> 18));
        pw_push_byte(out, (uint8_t)(0x80 | (code >> 12 & 63)));
        pw_push_byte(out, (uint8_t)(0x80 | (code >> 6 & 63)));
        pw_push_byte(out, (uint8_t)(0x80 | (code & 63)));
    }
}

static void read_escape(reader *in, pw_buffer *out) {
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    uint8_t letter = in->at < in->end ? *in->at++ : 0;
    if (letter == 'u') {
        uint32_t code = read_hex(in);
        if (code >= 0xd800 && code < 0xdc00 && take_word(in, "\\u")) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((read_hex(in) - 0xdc00) & 0x3ff);
        }
        push_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
        return;
    }
    for (size_t which = 0; letters[which] != 0; which++) {
        if (letters[which] != (char)letter) continue;
        pw_push_byte(out, (uint8_t)meanings[which]);
        return;
    }
    in->wrong = true;
}

static pw_text read_text(reader *in) {
    pw_buffer out = {0};
    while (in->at < in->end && *in->at != '"' && !in->wrong) {
        uint8_t byte = *in->at++;
        if (byte == '\\') read_escape(in, &out);
        else pw_push_byte(&out, byte);
    }
    if (!take(in, '"')) in->wrong = true;
    return (pw_text){out.ptr, out.len};
}

static pw_json *read_container(reader *in, kind kind, uint8_t close) {
    pw_json *container = make(kind), **last = &container->first;
    if (++in->depth > 64) in->wrong = true;
    if (take(in, close)) {
        in->depth--;
        return container;
    }
    do {
        pw_text name = {0};
        if (kind == OBJECT) {
            if (!take(in, '"')) in->wrong = true;
            else name = read_text(in);
            if (!take(in, ':')) in->wrong = true;
        }
        if (in->wrong) return container;
        *last = read_value(in);
        (*last)->name = name;
        last = &(*last)->next;
    } while (take(in, ','));
    if (!take(in, close)) in->wrong = true;
    in->depth--;
    return container;
}

static pw_json *read_number(reader *in) {
    const uint8_t *start = in->at;
    while (in->at < in->end && ((*in->at >= '0' && *in->at <= '9') || *in->at == '-' || *in->at == '+' ||
                                *in->at == '.' || *in->at == 'e' || *in->at == 'E')) in->at++;
    if (in->at == start) in->wrong = true;
    pw_json *value = make(NUMBER);
    value->number = pw_number_parse(start, (size_t)(in->at - start));
    return value;
}

static pw_json *read_value(reader *in) {
    if (take(in, '{')) return read_container(in, OBJECT, '}');
    if (take(in, '[')) return read_container(in, ARRAY, ']');
    if (take(in, '"')) {
        pw_json *value = make(TEXT);
        value->text = read_text(in);
        return value;
    }
    if (take_word(in, "null")) return make(NOTHING);
    bool yes = take_word(in, "true");
    if (!yes && !take_word(in, "false")) return read_number(in);
    pw_json *value = make(BOOLEAN);
    value->boolean = yes;
    return value;
}

pw_json *pw_json_parse(const uint8_t *bytes, size_t length) {
    reader in = {.at = bytes, .end = bytes + length};
    pw_json *value = read_value(&in);
    skip(&in);
    return in.wrong || in.at != in.end ? NULL : value;
}

/* ---- Writing. ---- */

static void write_text(pw_buffer *out, pw_text text) {
    static const char hex[] = "0123456789abcdef";
    static const char short_form[] = "btn?fr";
    pw_push_byte(out, '"');
    for (size_t at = 0; at < text.len; at++) {
        uint8_t byte = text.ptr[at];
        if (byte == '"' || byte == '\\') {
            pw_push_byte(out, '\\');
            pw_push_byte(out, byte);
        } else if (byte >= 8 && byte <= 13 && byte != 11) {
            pw_push_byte(out, '\\');
            pw_push_byte(out, (uint8_t)short_form[byte - 8]);
        } else if (byte < 32) {
            pw_push(out, "\\u00", 4);
            pw_push_byte(out, (uint8_t)hex[byte >> 4]);
            pw_push_byte(out, (uint8_t)hex[byte & 15]);
        } else {
            pw_push_byte(out, byte);
        }
    }
    pw_push_byte(out, '"');
}

static void write_value(pw_buffer *out, const pw_json *value) {
    switch (value->kind) {
    case NOTHING: pw_push(out, "null", 4); break;
    case BOOLEAN: pw_push(out, value->boolean ? "true" : "false", value->boolean ? 4 : 5); break;
    case TEXT: write_text(out, value->text); break;
    case NUMBER: {
        pw_text number = pw_number_text(value->number);
        pw_push(out, number.ptr, number.len);
        break;
    }
    case ARRAY:
    case OBJECT:
        pw_push_byte(out, value->kind == ARRAY ? '[' : '{');
        for (const pw_json *one = value->first; one != NULL; one = one->next) {
            if (one != value->first) pw_push_byte(out, ',');
            if (value->kind == OBJECT) {
                write_text(out, one->name);
                pw_push_byte(out, ':');
            }
            write_value(out, one);
        }
        pw_push_byte(out, value->kind == ARRAY ? ']' : '}');
    }
}

pw_text pw_json_write(const pw_json *value) {
    pw_buffer out = {0};
    write_value(&out, value);
    return (pw_text){out.ptr, out.len};
}

/* ---- Members. ---- */

static pw_json *member(const pw_json *object, pw_text name) {
    if (object == NULL || object->kind != OBJECT) return NULL;
    for (pw_json *one = object->first; one != NULL; one = one->next) {
        if (one->name.len == name.len && memcmp(one->name.ptr, name.ptr, name.len) == 0) return one;
    }
    return NULL;
}

pw_json *pw_get(const pw_json *object, const char *name) { return member(object, pw_str(name)); }

static pw_json *get_kind(const pw_json *object, const char *name, kind kind) {
    pw_json *value = pw_get(object, name);
    return value != NULL && value->kind == kind ? value : NULL;
}

double pw_get_f64(const pw_json *object, const char *name) {
    pw_json *value = get_kind(object, name, NUMBER);
    return value == NULL ? 0 : value->number;
}

uint64_t pw_get_u64(const pw_json *object, const char *name) {
    double value = pw_get_f64(object, name);
    return value > 0 ? value < 18446744073709551615.0 ? (uint64_t)value : UINT64_MAX : 0;
}

uint32_t pw_get_u32(const pw_json *object, const char *name) {
    uint64_t value = pw_get_u64(object, name);
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

bool pw_get_bool(const pw_json *object, const char *name) {
    pw_json *value = get_kind(object, name, BOOLEAN);
    return value != NULL && value->boolean;
}

pw_text pw_get_text(const pw_json *object, const char *name) {
    pw_json *value = get_kind(object, name, TEXT);
    return value == NULL ? (pw_text){0} : value->text;
}

pw_json *pw_at(const pw_json *array, uint32_t index) {
    pw_json *one = array == NULL ? NULL : array->first;
    while (one != NULL && index-- > 0) one = one->next;
    return one;
}

uint32_t pw_length(const pw_json *array) {
    uint32_t count = 0;
    while (pw_at(array, count) != NULL) count++;
    return count;
}

/* Makes room for a member, and gives what was there before its contents. */
static pw_json *put(pw_json *object, pw_text name, kind kind) {
    pw_json *value = member(object, name);
    if (value == NULL) {
        pw_json **last = &object->first;
        while (*last != NULL) last = &(*last)->next;
        *last = value = make(kind);
    }
    *value = (pw_json){.kind = kind, .name = name, .next = value->next};
    return value;
}

void pw_set_f64(pw_json *object, const char *name, double value) {
    put(object, pw_str(name), NUMBER)->number = value;
}
void pw_set_u64(pw_json *object, const char *name, uint64_t value) {
    pw_set_f64(object, name, (double)value);
}
void pw_set_bool(pw_json *object, const char *name, bool value) {
    put(object, pw_str(name), BOOLEAN)->boolean = value;
}
void pw_set_text(pw_json *object, const char *name, pw_text value) {
    put(object, pw_str(name), TEXT)->text = value;
}
pw_json *pw_set_object(pw_json *object, const char *name) {
    return put(object, pw_str(name), OBJECT);
}

bool pw_json_is_object(const pw_json *value) { return value != NULL && value->kind == OBJECT; }
pw_json *pw_json_object(void) { return make(OBJECT); }

/* Puts a copy of a value under a name; what it contains is shared. */
static pw_json *put_copy(pw_json *object, pw_text name, const pw_json *from) {
    pw_json *copy = put(object, name, from->kind), *next = copy->next;
    *copy = *from;
    copy->name = name;
    copy->next = next;
    return copy;
}

void pw_json_fill_defaults(pw_json *object, const pw_json *schema) {
    const pw_json *properties = pw_get(schema, "properties");
    for (const pw_json *one = properties == NULL ? NULL : properties->first; one != NULL; one = one->next) {
        const pw_json *initial = pw_get(one, "default");
        pw_json *value = member(object, one->name);
        bool nested = pw_json_is_object(pw_get(one, "properties"));
        if (value == NULL && initial != NULL) value = put_copy(object, one->name, initial);
        else if (value == NULL && nested) value = put(object, one->name, OBJECT);
        if (nested && pw_json_is_object(value)) pw_json_fill_defaults(value, one);
    }
}

void pw_json_merge(pw_json *object, const pw_json *initial) {
    for (const pw_json *one = initial == NULL ? NULL : initial->first; one != NULL; one = one->next) {
        if (member(object, one->name) == NULL) put_copy(object, one->name, one);
    }
}
