/* JNI bridge from Bridge.kt to LiteRT's C API, for tests on the JVM: one model, CPU, its first signature, one float32 input and output.
 *
 * The prototypes are written out after LiteRT's litert/c headers (Apache-2.0) of release 2.3.0, whose libLiteRt.so comes with the Python package
 * ai-edge-litert: neither has the headers. */
#include <jni.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
void LiteRtDestroyTensorBuffer(Handle buffer);
void LiteRtDestroyCompiledModel(Handle compiled);
void LiteRtDestroyOptions(Handle options);
void LiteRtDestroyModel(Handle model);
void LiteRtDestroyEnvironment(Handle environment);

typedef struct {
    Handle environment, model, options, compiled, input, output;
    size_t input_bytes, output_bytes;
} Session;

static void throw_failure(JNIEnv *env, const char *call, Status status) {
    char message[160];
    snprintf(message, sizeof message, "%s failed with status %d", call, status);
    (*env)->ThrowNew(env, (*env)->FindClass(env, "java/lang/IllegalStateException"), message);
}

/* Runs a call, or throws its name and leaves. */
#define OR_RETURN(call, value)                      \
    do {                                            \
        Status status = (call);                     \
        if (status) {                               \
            throw_failure(env, #call, status);      \
            return value;                           \
        }                                           \
    } while (0)

static int make_buffers(JNIEnv *env, Session *s) {
    Handle signature, tensor, requirements;
    TensorType type;
    OR_RETURN(LiteRtGetModelSignature(s->model, 0, &signature), 0);
    OR_RETURN(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor), 0);
    OR_RETURN(LiteRtGetRankedTensorType(tensor, &type), 0);
    OR_RETURN(LiteRtGetCompiledModelInputBufferRequirements(s->compiled, 0, 0, &requirements), 0);
    OR_RETURN(LiteRtCreateManagedTensorBufferFromRequirements(s->environment, &type, requirements, &s->input), 0);
    OR_RETURN(LiteRtGetTensorBufferPackedSize(s->input, &s->input_bytes), 0);
    OR_RETURN(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor), 0);
    OR_RETURN(LiteRtGetRankedTensorType(tensor, &type), 0);
    OR_RETURN(LiteRtGetCompiledModelOutputBufferRequirements(s->compiled, 0, 0, &requirements), 0);
    OR_RETURN(LiteRtCreateManagedTensorBufferFromRequirements(s->environment, &type, requirements, &s->output), 0);
    OR_RETURN(LiteRtGetTensorBufferPackedSize(s->output, &s->output_bytes), 0);
    return 1;
}

static int open_session(JNIEnv *env, Session *s, const char *path) {
    OR_RETURN(LiteRtCreateEnvironment(0, NULL, &s->environment), 0);
    OR_RETURN(LiteRtCreateModelFromFile(s->environment, path, &s->model), 0);
    OR_RETURN(LiteRtCreateOptions(&s->options), 0);
    OR_RETURN(LiteRtSetOptionsHardwareAccelerators(s->options, CPU), 0);
    OR_RETURN(LiteRtCreateCompiledModel(s->environment, s->model, s->options, &s->compiled), 0);
    return make_buffers(env, s);
}

static void close_session(Session *s) {
    if (s->input) LiteRtDestroyTensorBuffer(s->input);
    if (s->output) LiteRtDestroyTensorBuffer(s->output);
    if (s->compiled) LiteRtDestroyCompiledModel(s->compiled);
    if (s->options) LiteRtDestroyOptions(s->options);
    if (s->model) LiteRtDestroyModel(s->model);
    if (s->environment) LiteRtDestroyEnvironment(s->environment);
    free(s);
}

JNIEXPORT jlong JNICALL Java_com_google_ai_edge_litert_Bridge_open(JNIEnv *env, jclass unused, jstring path) {
    (void)unused;
    Session *s = calloc(1, sizeof *s);
    const char *text = (*env)->GetStringUTFChars(env, path, NULL);
    int opened = s && text && open_session(env, s, text);
    if (text) (*env)->ReleaseStringUTFChars(env, path, text);
    if (!opened && s) close_session(s);
    return opened ? (jlong)(intptr_t)s : 0;
}

JNIEXPORT jfloatArray JNICALL Java_com_google_ai_edge_litert_Bridge_run(JNIEnv *env, jclass unused, jlong handle, jfloatArray clip) {
    (void)unused;
    Session *s = (Session *)(intptr_t)handle;
    jsize samples = (*env)->GetArrayLength(env, clip), values = (jsize)(s->output_bytes / sizeof(float));
    void *memory;
    if (samples * sizeof(float) != s->input_bytes) {
        throw_failure(env, "a clip of another length than the model's input", samples);
        return NULL;
    }
    OR_RETURN(LiteRtLockTensorBuffer(s->input, &memory, LOCK_WRITE), NULL);
    (*env)->GetFloatArrayRegion(env, clip, 0, samples, memory);
    OR_RETURN(LiteRtUnlockTensorBuffer(s->input), NULL);
    OR_RETURN(LiteRtRunCompiledModel(s->compiled, 0, 1, &s->input, 1, &s->output), NULL);
    jfloatArray embedding = (*env)->NewFloatArray(env, values);
    OR_RETURN(LiteRtLockTensorBuffer(s->output, &memory, LOCK_READ), NULL);
    if (embedding) (*env)->SetFloatArrayRegion(env, embedding, 0, values, memory);
    OR_RETURN(LiteRtUnlockTensorBuffer(s->output), NULL);
    return embedding;
}

JNIEXPORT void JNICALL Java_com_google_ai_edge_litert_Bridge_close(JNIEnv *env, jclass unused, jlong handle) {
    (void)env;
    (void)unused;
    close_session((Session *)(intptr_t)handle);
}
