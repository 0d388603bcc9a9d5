/*
 * Memory and text without a C library.
 *
 * Memory is handed out from the end of what there is and never taken back: an instance lives for
 * one evaluation.
 */
#include <stdarg.h>

#include "json.h"

extern uint8_t __heap_base;
static uintptr_t next;

void *malloc(size_t size) {
    if (next == 0) next = (uintptr_t)&__heap_base;
    uintptr_t start = (next + 31) & ~(uintptr_t)15;
    uintptr_t end = start + size;
    uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    if (end < start) abort();
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) >> 16) == (size_t)-1) abort();
    /* The size stands before the block, for realloc. */
    ((size_t *)start)[-1] = size;
    next = end;
    return (void *)start;
}

void *realloc(void *old, size_t size) {
    if (old == NULL) return malloc(size);
    size_t had = ((size_t *)old)[-1];
    if (size <= had) return old;
    void *new = malloc(size);
    memcpy(new, old, had);
    return new;
}

void free(void *memory) { (void)memory; }
void abort(void) { __builtin_trap(); }
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return __builtin_memcpy(to, from, size);
}
void *memmove(void *to, const void *from, size_t size) { return __builtin_memmove(to, from, size); }
void *memset(void *to, int byte, size_t size) { return __builtin_memset(to, byte, size); }

int memcmp(const void *a, const void *b, size_t size) {
    const uint8_t *x = a, *y = b;
    for (size_t at = 0; at < size; at++) {
        if (x[at] != y[at]) return x[at] < y[at] ? -1 : 1;
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}

pw_text pw_str(const char *string) {
    return (pw_text){(uint8_t *)(uintptr_t)string, string == NULL ? 0 : strlen(string)};
}

void pw_push(pw_buffer *buffer, const void *bytes, size_t length) {
    if (buffer->len + length > buffer->room) {
        buffer->room = 2 * (buffer->len + length) + 32;
        buffer->ptr = realloc(buffer->ptr, buffer->room);
    }
    memcpy(buffer->ptr + buffer->len, bytes, length);
    buffer->len += length;
}

void pw_push_byte(pw_buffer *buffer, uint8_t byte) { pw_push(buffer, &byte, 1); }

void pw_push_unsigned(pw_buffer *buffer, uint64_t value, uint32_t width) {
    uint8_t digits[40];
    uint32_t count = 0;
    do {
        digits[count++] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0 || (count < width && count < sizeof digits));
    while (count > 0) pw_push_byte(buffer, digits[--count]);
}

static void push_text(pw_buffer *buffer, pw_text text) { pw_push(buffer, text.ptr, text.len); }

pw_text pw_format(const char *format, ...) {
    pw_buffer buffer = {0};
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at != 0; at++) {
        if (*at != '%') {
            pw_push_byte(&buffer, (uint8_t)*at);
            continue;
        }
        uint32_t number = 0;
        at++;
        while (*at == '.' || (*at >= '0' && *at <= '9')) {
            if (*at != '.') number = number * 10 + (uint32_t)(*at - '0');
            at++;
        }
        switch (*at) {
        case 's': push_text(&buffer, pw_str(va_arg(args, const char *))); break;
        case 'T': push_text(&buffer, va_arg(args, pw_text)); break;
        case 'u': pw_push_unsigned(&buffer, va_arg(args, uint32_t), number); break;
        case 'U': pw_push_unsigned(&buffer, va_arg(args, uint64_t), number); break;
        case 'f': push_text(&buffer, pw_number_fixed(va_arg(args, double), number)); break;
        case 'd': {
            int64_t value = va_arg(args, int32_t);
            if (value < 0) pw_push_byte(&buffer, '-');
            pw_push_unsigned(&buffer, (uint64_t)(value < 0 ? -value : value), number);
            break;
        }
        case '%': pw_push_byte(&buffer, '%'); break;
        default: abort();
        }
    }
    va_end(args);
    return (pw_text){buffer.ptr, buffer.len};
}
