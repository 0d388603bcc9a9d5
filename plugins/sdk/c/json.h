/* Reads and writes JSON; what the author sees of it stands in poolwarden_policy.h. */
#ifndef POOLWARDEN_JSON_H
#define POOLWARDEN_JSON_H

#include "poolwarden_policy.h"

/* Gives NULL for what is not JSON. */
pw_json *pw_json_parse(const uint8_t *bytes, size_t length);
pw_text pw_json_write(const pw_json *value);
bool pw_json_is_object(const pw_json *value);
pw_json *pw_json_object(void);
/* Adds to an object what it lacks and a schema has a default for. */
void pw_json_fill_defaults(pw_json *object, const pw_json *schema);
/* Adds to an object what it lacks and another one has. */
void pw_json_merge(pw_json *object, const pw_json *initial);

/* A number in the digits that give it back; from `number.c`. */
pw_text pw_number_text(double value);
double pw_number_parse(const uint8_t *digits, size_t length);
/* A number with so many digits after the point, rounded half to even. */
pw_text pw_number_fixed(double value, uint32_t digits);

/* Text that grows; from `text.c`. */
typedef struct { uint8_t *ptr; size_t len, room; } pw_buffer;
void pw_push(pw_buffer *buffer, const void *bytes, size_t length);
void pw_push_byte(pw_buffer *buffer, uint8_t byte);
void pw_push_unsigned(pw_buffer *buffer, uint64_t value, uint32_t width);

#endif
