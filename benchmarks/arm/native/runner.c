/* Run a .tflite file with one float32 input in LiteRT, on its CPU path.
 *
 *     runner MODEL INPUTS OUTPUTS WINDOWS
 *
 * INPUTS holds one or more inputs, raw and without gaps; OUTPUTS gets all outputs of the model for the first of them, then for the second, ...
 * Then the first input is run WINDOWS more times, each between two marks that counter.c sees. Prints one line of JSON: what the outputs are.
 * There is no clock in here: the wall time of an emulator says nothing about a device.
 */
#define _GNU_SOURCE
#include "../../android/native/litert.h" /* sandbox/sandbox.py pins the version */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OUTPUTS = 64 };

static void check(Status status, const char *what) {
  if (status != 0) {
    fprintf(stderr, "%s: LiteRT status %d\n", what, status);
    exit(2);
  }
}
#define CHECK(call) check((call), #call)

static Handle environment, compiled, signature, input, outputs[MAX_OUTPUTS];
static size_t output_count;

static void open_model(const char *path) {
  Handle model, options, tensor, requirements;
  TensorType type;
  size_t input_count;
  CHECK(LiteRtCreateEnvironment(0, NULL, &environment));
  CHECK(LiteRtCreateModelFromFile(environment, path, &model));
  CHECK(LiteRtCreateOptions(&options));
  CHECK(LiteRtSetOptionsHardwareAccelerators(options, CPU));
  CHECK(LiteRtCreateCompiledModel(environment, model, options, &compiled));
  CHECK(LiteRtGetModelSignature(model, 0, &signature));
  CHECK(LiteRtGetNumSignatureInputs(signature, &input_count));
  CHECK(LiteRtGetNumSignatureOutputs(signature, &output_count));
  if (input_count != 1 || output_count < 1 || output_count > MAX_OUTPUTS) {
    fprintf(stderr, "%s: %zu inputs and %zu outputs, expected one input and 1 to %d outputs\n", path, input_count, output_count, MAX_OUTPUTS);
    exit(2);
  }
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

static int read_input(FILE *from) { /* 0 at the end of the file */
  size_t size;
  void *memory;
  CHECK(LiteRtGetTensorBufferPackedSize(input, &size));
  CHECK(LiteRtLockTensorBuffer(input, &memory, LOCK_WRITE));
  size_t got = fread(memory, 1, size, from);
  CHECK(LiteRtUnlockTensorBuffer(input));
  if (got != 0 && got != size) {
    fprintf(stderr, "the last input has %zu bytes, the model takes %zu\n", got, size);
    exit(2);
  }
  return got == size;
}

static void run(void) { CHECK(LiteRtRunCompiledModel(compiled, 0, 1, &input, output_count, outputs)); }

static void write_outputs(FILE *to) {
  for (size_t i = 0; i < output_count; i++) {
    size_t size;
    void *memory;
    CHECK(LiteRtGetTensorBufferPackedSize(outputs[i], &size));
    CHECK(LiteRtLockTensorBuffer(outputs[i], &memory, LOCK_READ));
    if (fwrite(memory, 1, size, to) != size) check(1, "writing the outputs");
    CHECK(LiteRtUnlockTensorBuffer(outputs[i]));
  }
}

static void describe_outputs(void) {
  printf("{\"outputs\": [");
  for (size_t i = 0; i < output_count; i++) {
    Handle tensor;
    TensorType type;
    size_t size;
    CHECK(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK(LiteRtGetTensorBufferPackedSize(outputs[i], &size));
    printf("%s{\"type\": %d, \"bytes\": %zu}", i ? ", " : "", type.element_type, size);
  }
  printf("]}\n");
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: runner MODEL INPUTS OUTPUTS WINDOWS\n");
    return 2;
  }
  open_model(arguments[1]);
  FILE *from = fopen(arguments[2], "rb"), *to = fopen(arguments[3], "wb");
  if (!from || !to) {
    perror("opening inputs or outputs");
    return 2;
  }
  while (read_input(from)) { /* these also warm up: the first call may do more */
    run();
    write_outputs(to);
  }
  if (fclose(to)) check(1, "writing the outputs");
  rewind(from);
  if (!read_input(from)) check(1, "reading the first input again");
  long windows = strtol(arguments[4], NULL, 10);
  for (long window = 0; window < windows; window++) {
    lseek(-0x4845, 2 * window + 1, SEEK_SET); /* opens window; fails, as no file has that number */
    run();
    lseek(-0x4845, 2 * window + 2, SEEK_SET); /* closes it */
  }
  describe_outputs();
  fflush(stdout);
  _exit(0); /* LiteRT's global destructors are none of our business */
}
