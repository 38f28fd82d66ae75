/* Run a .tflite file with one float32 input and float32 outputs in LiteRT on the CPU of an Android device, and time it.
 *
 *     android_runner MODEL INPUT OUTPUT WARMUP RUNS
 *
 * INPUT is raw float32; OUTPUT gets the raw float32 outputs for it, one after another. WARMUP calls come first, the first of which is timed alone:
 * the cold one. Prints one line of JSON: {"threads": of this process after all calls, "cold_ms": ..., "times_ms": [RUNS of them]}.
 */
#define _GNU_SOURCE
#include "litert.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_OUTPUTS = 8 };

static void fail(const char *what, int status) {
    fprintf(stderr, "android_runner: %s: %d\n", what, status);
    exit(1);
}

static void fail_on(const char *path) {
    perror(path);
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

/* Bytes of a file into a tensor's memory, or that into the file. */
static void transfer(Handle buffer, FILE *file, int to_file) {
    size_t bytes, done;
    void *memory;
    CHECK(LiteRtGetTensorBufferPackedSize(buffer, &bytes));
    CHECK(LiteRtLockTensorBuffer(buffer, &memory, to_file ? LOCK_READ : LOCK_WRITE));
    done = to_file ? fwrite(memory, 1, bytes, file) : fread(memory, 1, bytes, file);
    CHECK(LiteRtUnlockTensorBuffer(buffer));
    if (done != bytes || (!to_file && fgetc(file) != EOF)) fail("a file of another size than its tensor", (int)bytes);
}

static FILE *open_file(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (!file) fail_on(path);
    return file;
}

static int threads(void) {
    char line[256];
    int count = 0;
    FILE *status = open_file("/proc/self/status", "r");
    while (!count && fgets(line, sizeof line, status)) sscanf(line, "Threads: %d", &count);
    fclose(status);
    return count;
}

static Handle compiled, input, outputs[MAX_OUTPUTS];
static size_t output_count;

static double run_ms(void) {
    double start = now_ms();
    CHECK(LiteRtRunCompiledModel(compiled, 0, 1, &input, output_count, outputs));
    return now_ms() - start;
}

static void open_model(const char *path) {
    Handle environment, model, options, signature, tensor, requirements;
    TensorType type;
    CHECK(LiteRtCreateEnvironment(0, NULL, &environment));
    CHECK(LiteRtCreateModelFromFile(environment, path, &model));
    CHECK(LiteRtCreateOptions(&options));
    CHECK(LiteRtSetOptionsHardwareAccelerators(options, CPU));
    CHECK(LiteRtCreateCompiledModel(environment, model, options, &compiled));
    CHECK(LiteRtGetModelSignature(model, 0, &signature));
    CHECK(LiteRtGetNumSignatureOutputs(signature, &output_count));
    if (output_count < 1 || output_count > MAX_OUTPUTS) fail("a model with another number of outputs", (int)output_count);
    CHECK(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &requirements));
    CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, requirements, &input));
    for (size_t i = 0; i < output_count; i++) {
        CHECK(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor));
        CHECK(LiteRtGetRankedTensorType(tensor, &type));
        CHECK(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, i, &requirements));
        CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, requirements, &outputs[i]));
    }
}

int main(int count, char **arguments) {
    if (count != 6) fail("usage: android_runner MODEL INPUT OUTPUT WARMUP RUNS", count);
    int warmup = atoi(arguments[4]), runs = atoi(arguments[5]);
    if (warmup < 1 || runs < 1) fail("WARMUP and RUNS must be 1 or more", runs);
    open_model(arguments[1]);
    transfer(input, open_file(arguments[2], "rb"), 0);
    double cold = run_ms(), *times = malloc(runs * sizeof *times);
    if (!times) fail("no memory for times", runs);
    for (int i = 1; i < warmup; i++) run_ms();
    for (int i = 0; i < runs; i++) times[i] = run_ms();
    FILE *to = open_file(arguments[3], "wb");
    for (size_t i = 0; i < output_count; i++) transfer(outputs[i], to, 1);
    if (fclose(to)) fail_on(arguments[3]); /* a full disk, too */
    printf("{\"threads\": %d, \"cold_ms\": %.6f, \"times_ms\": [", threads(), cold);
    for (int i = 0; i < runs; i++) printf("%s%.6f", i ? ", " : "", times[i]);
    printf("]}\n");
    fflush(stdout);
    _Exit(0); /* libLiteRt.so's own destructors are not measured */
}
