/* A driver with one GPU that is ordinary memory, for testing what calls the driver where there is none.

   It has the functions of cuda.h that osnet-edge calls, under the names that a driver exports. Every call but
   the first few must be made with a context pushed; what is allocated must be freed. At exit it prints what is
   wrong, if anything is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500 };
static void *const CONTEXT = (void *)0x1000;
static __thread int depth = 0;
static int alive = 0, without_context = 0;

#define NEEDS_CONTEXT if (depth < 1) { __sync_add_and_fetch(&without_context, 1); return INVALID_CONTEXT; }
#define COUNT(n) __sync_add_and_fetch(&alive, n)

static int take(void **made, size_t bytes) {
    NEEDS_CONTEXT
    if (bytes > (size_t)1 << 40) return OUT_OF_MEMORY;
    *made = malloc(bytes);
    COUNT(1);
    return 0;
}

static int give(void *made) {
    NEEDS_CONTEXT
    free(made);
    COUNT(-1);
    return 0;
}

static int copy(void *to, const void *from, size_t bytes) {
    NEEDS_CONTEXT
    memcpy(to, from, bytes);
    return 0;
}

int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stand-in GPU", size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 8 : 6; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = CONTEXT; return 0; }
int cuCtxPushCurrent_v2(void *context) { depth += context == CONTEXT; return 0; }
int cuCtxPopCurrent_v2(void **context) { NEEDS_CONTEXT depth--; *context = CONTEXT; return 0; }
int cuMemAlloc_v2(void **memory, size_t bytes) { return take(memory, bytes); }
int cuMemFree_v2(void *memory) { return give(memory); }
int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) { return take(memory, bytes); }
int cuMemFreeHost(void *memory) { return give(memory); }
int cuStreamCreate(void **stream, unsigned flags) { return take(stream, 1); }
int cuStreamDestroy_v2(void *stream) { return give(stream); }
int cuStreamSynchronize(void *stream) { NEEDS_CONTEXT return 0; }
int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t n, void *stream) { return copy(to, from, n); }
int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t n, void *stream) { return copy(to, from, n); }

int cuGetErrorString(int error, const char **text) {
    *text = error == OUT_OF_MEMORY ? "out of memory" : "invalid device context";
    return 0;
}

/* cuda-python asks for functions by the names of cuda.h, which maps some to a second version. */
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
    char second[128];
    Dl_info here;
    dladdr((void *)cuInit, &here);
    void *self = dlopen(here.dli_fname, RTLD_LAZY);
    snprintf(second, sizeof second, "%s_v2", name);
    *function = dlsym(self, second);
    if (!*function) *function = dlsym(self, name);
    if (status) *status = *function ? 0 : 1;
    return *function ? 0 : NOT_FOUND;
}

__attribute__((destructor)) static void report(void) {
    if (alive || without_context) printf("stand-in: %d alive, %d without context\n", alive, without_context);
}
