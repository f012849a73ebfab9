// The package's CUDA kernels as ordinary functions, to be held to the CPU's preprocessing without a GPU: a thread
// after another, each with the indices that a GPU would give it.
#include <cmath>
#include <cstdint>
#define __global__
struct Index { unsigned x, y, z; };
static thread_local Index blockIdx, blockDim, threadIdx;
#include "crops.cu"

#define A(type, i) (*(type *)arguments[i])
#define P(type, i) ((type *)*(uint64_t *)arguments[i])

template <class Kernel> static void each(unsigned x, unsigned y, unsigned threads, Kernel kernel) {
    blockDim = {threads, 1, 1};
    for (unsigned row = 0; row < y; row++)
        for (unsigned block = 0; block < x; block++)
            for (unsigned thread = 0; thread < threads; thread++) {
                blockIdx = {block, row, 0}, threadIdx = {thread, 0, 0};
                kernel();
            }
}

extern "C" void launch_weigh(unsigned x, unsigned y, unsigned threads, void **arguments) {
    each(x, y, threads, [&] {
        weigh(P(const Crop, 0), P(int, 1), P(int, 2), A(int, 3), A(int, 4), A(int, 5), A(int, 6), A(int, 7));
    });
}

extern "C" void launch_cut(unsigned x, unsigned y, unsigned threads, void **arguments) {
    each(x, y, threads, [&] {
        cut(P(const Crop, 0), P(const int, 1), P(const int, 2), A(int, 3), A(int, 4), A(int, 5), A(int, 6),
            A(int, 7), P(unsigned char, 8), P(float, 9), A(float, 10), A(float, 11), A(float, 12), A(float, 13),
            A(float, 14), A(float, 15), A(float, 16));
    });
}
