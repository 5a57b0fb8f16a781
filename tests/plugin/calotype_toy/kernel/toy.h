/* Differences along rows of interleaved samples, modulo 65536, and back; both in place. */
#include <stddef.h>
#include <stdint.h>

void toy_differences(uint16_t *samples, size_t rows, size_t width, size_t channels);
void toy_sums(uint16_t *samples, size_t rows, size_t width, size_t channels);
