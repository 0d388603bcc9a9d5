/* What the generated bindings need of a C library; there is none in a policy. */
#ifndef POOLWARDEN_STDLIB_H
#define POOLWARDEN_STDLIB_H
#include <stddef.h>
void *malloc(size_t size);
void *realloc(void *old, size_t size);
void free(void *memory);
_Noreturn void abort(void);
#endif
