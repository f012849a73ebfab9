/* A driver with one GPU that is ordinary memory, for testing what calls the driver where there is none.

   It has the functions of cuda.h that osnet-edge calls, under the names that a driver exports. Every call but
   the first few must be made with a context pushed, in the process that first used it; what is allocated must be
   freed. While a stream is captured, copies and kernels are kept in place of being done. A module's image is the
   path of a shared library. At exit it prints what is wrong, if anything is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INVALID = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_CONTEXT = 201, NOT_FOUND = 500,
       CONTEXT_IS_DESTROYED = 709 };
enum { LEGACY_STREAM = 1, ORDINAL = 9, THREAD_LOCAL = 1 };
static void *const CONTEXT = (void *)0x1000;
static __thread int depth = 0;
static int alive = 0, without_context = 0, was_reset = 0;
static pid_t owner = 0;

#define NEEDS_CONTEXT \
    if (depth < 1) { __sync_add_and_fetch(&without_context, 1); return INVALID_CONTEXT; } \
    if (was_reset) return CONTEXT_IS_DESTROYED;
#define COUNT(n) __sync_add_and_fetch(&alive, n)

static int take(void **made, size_t bytes) {
    NEEDS_CONTEXT
    if (bytes > (size_t)1 << 40) return OUT_OF_MEMORY;
    *made = calloc(bytes, 1);
    COUNT(1);
    return 0;
}

static int give(void *made) {
    NEEDS_CONTEXT
    free(made);
    COUNT(-1);
    return 0;
}

/* What a stream is given: a copy, or a kernel with its arguments. */
typedef struct { void *to; const void *from; size_t bytes; } Copy;
typedef struct { int count; Copy copies[64]; } Graph;
static __thread Graph *captured = 0;

static int copy(void *to, const void *from, size_t bytes) {
    NEEDS_CONTEXT
    if (captured) captured->copies[captured->count++] = (Copy){to, from, bytes};
    else memcpy(to, from, bytes);
    return 0;
}

int cuInit(unsigned flags) {
    if (!owner) owner = getpid();
    return owner == getpid() ? 0 : NOT_INITIALIZED;
}
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stand-in GPU", size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 8 : 6; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = CONTEXT; was_reset = 0; return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { *active = !was_reset; return 0; }
int cuDevicePrimaryCtxReset_v2(int device) { was_reset = 1; alive = 0; return 0; }
int cuCtxPushCurrent_v2(void *context) { depth += context == CONTEXT; return 0; }
int cuCtxPopCurrent_v2(void **context) {
    if (depth < 1) { __sync_add_and_fetch(&without_context, 1); return INVALID_CONTEXT; }
    depth--;
    *context = CONTEXT;
    return 0;
}
int cuMemAlloc_v2(void **memory, size_t bytes) { return take(memory, bytes); }
int cuMemFree_v2(void *memory) { return give(memory); }
int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) { return take(memory, bytes); }
int cuMemFreeHost(void *memory) { return give(memory); }
int cuPointerGetAttribute(int *value, int attribute, void *memory) {
    NEEDS_CONTEXT
    *value = 0;
    return attribute == ORDINAL ? 0 : INVALID;
}
int cuStreamCreate(void **stream, unsigned flags) { return take(stream, 1); }
int cuStreamDestroy_v2(void *stream) { return give(stream); }
int cuStreamSynchronize(void *stream) { NEEDS_CONTEXT return captured ? INVALID : 0; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { NEEDS_CONTEXT return event ? 0 : INVALID; }
int cuEventCreate(void **event, unsigned flags) { return take(event, 1); }
int cuEventRecord(void *event, void *stream) { NEEDS_CONTEXT return stream && event ? 0 : INVALID; }
int cuEventDestroy_v2(void *event) { return give(event); }
int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t n, void *stream) { return copy(to, from, n); }
int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t n, void *stream) { return copy(to, from, n); }
int cuMemcpyDtoDAsync_v2(void *to, const void *from, size_t n, void *stream) { return copy(to, from, n); }

int cuStreamBeginCapture_v2(void *stream, int mode) {
    NEEDS_CONTEXT
    if (captured || mode != THREAD_LOCAL) return INVALID;
    return take((void **)&captured, sizeof *captured);
}
int cuStreamEndCapture(void *stream, void **graph) {
    NEEDS_CONTEXT
    if (!captured) return INVALID;
    *graph = captured;
    captured = 0;
    return 0;
}
int cuGraphInstantiateWithFlags(void **made, Graph *graph, unsigned long long flags) {
    int failed = take(made, sizeof *graph);
    if (!failed) memcpy(*made, graph, sizeof *graph);
    return failed;
}
int cuGraphInstantiate(void **made, Graph *graph, unsigned long long flags) {
    return cuGraphInstantiateWithFlags(made, graph, flags);
}
int cuGraphLaunch(Graph *graph, void *stream) {
    for (int index = 0; index < graph->count; index++) {
        Copy one = graph->copies[index];
        if (copy(one.to, one.from, one.bytes)) return INVALID_CONTEXT;
    }
    return 0;
}
int cuGraphDestroy(void *graph) { return give(graph); }
int cuGraphExecDestroy(void *made) { return give(made); }

int cuModuleLoadData(void **module, const char *image) {
    NEEDS_CONTEXT
    *module = dlopen(image, RTLD_NOW);
    if (!*module) return NOT_FOUND;
    COUNT(1);
    return 0;
}
int cuModuleUnload(void *module) { NEEDS_CONTEXT COUNT(-1); return dlclose(module); }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    char launcher[128];
    NEEDS_CONTEXT
    snprintf(launcher, sizeof launcher, "launch_%s", name);
    *function = dlsym(module, launcher);
    return *function ? 0 : NOT_FOUND;
}
int cuLaunchKernel(void (*function)(unsigned, unsigned, unsigned, void **), unsigned x, unsigned y, unsigned z,
                   unsigned threads, unsigned threads_y, unsigned threads_z, unsigned shared, void *stream,
                   void **arguments, void **extra) {
    NEEDS_CONTEXT
    if (z != 1 || threads_y != 1 || threads_z != 1 || threads > 1024 || extra) return INVALID;
    function(x, y, threads, arguments);
    return 0;
}

int cuGetErrorString(int error, const char **text) {
    *text = error == OUT_OF_MEMORY          ? "out of memory"
            : error == NOT_INITIALIZED      ? "initialization error"
            : error == CONTEXT_IS_DESTROYED ? "context is destroyed"
            : error == INVALID              ? "invalid argument"
                                            : "invalid device context";
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
    if (owner == getpid() && (alive || without_context))
        printf("stand-in: %d alive, %d without context\n", alive, without_context);
}
