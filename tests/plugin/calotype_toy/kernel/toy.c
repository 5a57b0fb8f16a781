#include "toy.h"

void toy_differences(uint16_t *samples, size_t rows, size_t width, size_t channels) {
    for (size_t row = 0; row < rows; row++, samples += width * channels)
        for (size_t i = width * channels - 1; i >= channels; i--) samples[i] -= samples[i - channels];
}

void toy_sums(uint16_t *samples, size_t rows, size_t width, size_t channels) {
    for (size_t row = 0; row < rows; row++, samples += width * channels)
        for (size_t i = channels; i < width * channels; i++) samples[i] += samples[i - channels];
}
