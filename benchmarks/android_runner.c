/* Run a .tflite file with one float32 input and output in LiteRT on the CPU of an Android device, and time it.
 *
 *     android_runner MODEL INPUT OUTPUT WARMUP RUNS
 *
 * INPUT is raw float32; OUTPUT gets the raw float32 output for it. WARMUP calls come first, the first of which is timed alone: the cold one. Prints
 * one line of JSON: {"threads": of this process after all calls, "cold_ms": ..., "times_ms": [RUNS of them]}.
 *
 * The prototypes are written out after the headers in litert/c of LiteRT 2.3.0 (Apache-2.0), which its packages don't bring. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int Status; /* 0: ok */
typedef void *Handle;
typedef struct {
    int32_t element_type;
    uint32_t rank_and_strides;
    int32_t dimensions[8];
    uint32_t strides[8];
} TensorType;

enum { CPU = 1, LOCK_READ = 0, LOCK_WRITE = 1 };

Status LiteRtCreateEnvironment(int count, const void *options, Handle *environment);
Status LiteRtCreateModelFromFile(Handle environment, const char *path, Handle *model);
Status LiteRtCreateOptions(Handle *options);
Status LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
Status LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *compiled);
Status LiteRtGetModelSignature(Handle model, size_t index, Handle *signature);
Status LiteRtGetSignatureInputTensorByIndex(Handle signature, size_t index, Handle *tensor);
Status LiteRtGetSignatureOutputTensorByIndex(Handle signature, size_t index, Handle *tensor);
Status LiteRtGetRankedTensorType(Handle tensor, TensorType *type);
Status LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *requirements);
Status LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *requirements);
Status LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const TensorType *type, Handle requirements, Handle *buffer);
Status LiteRtGetTensorBufferPackedSize(Handle buffer, size_t *bytes);
Status LiteRtLockTensorBuffer(Handle buffer, void **memory, int mode);
Status LiteRtUnlockTensorBuffer(Handle buffer);
Status LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle *input, size_t outputs, Handle *output);

static void fail(const char *what, int status) {
    fprintf(stderr, "android_runner: %s: %d\n", what, status);
    exit(1);
}

#define CHECK(call)                         \
    do {                                    \
        Status status = (call);             \
        if (status) fail(#call, status);    \
    } while (0)

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* All of a file into, or out of, a tensor's memory. */
static void transfer(Handle buffer, const char *path, int to_file) {
    size_t bytes, done;
    void *memory;
    FILE *file = fopen(path, to_file ? "wb" : "rb");
    if (!file) fail(path, 0);
    CHECK(LiteRtGetTensorBufferPackedSize(buffer, &bytes));
    CHECK(LiteRtLockTensorBuffer(buffer, &memory, to_file ? LOCK_READ : LOCK_WRITE));
    done = to_file ? fwrite(memory, 1, bytes, file) : fread(memory, 1, bytes, file);
    CHECK(LiteRtUnlockTensorBuffer(buffer));
    if (done != bytes || (!to_file && fgetc(file) != EOF) || fclose(file)) fail("a file of another size than its tensor", (int)bytes);
}

static int threads(void) {
    int count = -2; /* . and .. */
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) return 1;
    while (readdir(tasks)) count++;
    closedir(tasks);
    return count;
}

static double run_ms(Handle compiled, Handle *input, Handle *output) {
    double start = now_ms();
    CHECK(LiteRtRunCompiledModel(compiled, 0, 1, input, 1, output));
    return now_ms() - start;
}

int main(int count, char **arguments) {
    Handle environment, model, options, compiled, signature, tensor, requirements, input, output;
    TensorType type;
    if (count != 6) fail("usage: android_runner MODEL INPUT OUTPUT WARMUP RUNS", count);
    int warmup = atoi(arguments[4]), runs = atoi(arguments[5]);
    if (warmup < 1 || runs < 1) fail("WARMUP and RUNS must be 1 or more", runs);
    CHECK(LiteRtCreateEnvironment(0, NULL, &environment));
    CHECK(LiteRtCreateModelFromFile(environment, arguments[1], &model));
    CHECK(LiteRtCreateOptions(&options));
    CHECK(LiteRtSetOptionsHardwareAccelerators(options, CPU));
    CHECK(LiteRtCreateCompiledModel(environment, model, options, &compiled));
    CHECK(LiteRtGetModelSignature(model, 0, &signature));
    CHECK(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &requirements));
    CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, requirements, &input));
    CHECK(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, 0, &requirements));
    CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, requirements, &output));
    transfer(input, arguments[2], 0);
    double cold = run_ms(compiled, &input, &output), *times = malloc(runs * sizeof *times);
    if (!times) fail("no memory for times", runs);
    for (int i = 1; i < warmup; i++) run_ms(compiled, &input, &output);
    for (int i = 0; i < runs; i++) times[i] = run_ms(compiled, &input, &output);
    transfer(output, arguments[3], 1);
    printf("{\"threads\": %d, \"cold_ms\": %.6f, \"times_ms\": [", threads(), cold);
    for (int i = 0; i < runs; i++) printf("%s%.6f", i ? ", " : "", times[i]);
    printf("]}\n");
    fflush(stdout);
    _Exit(0); /* libLiteRt.so's own destructors are not measured */
}
