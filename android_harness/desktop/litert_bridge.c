/* JNI bridge from Bridge.kt to LiteRT's C API, for tests on the JVM: one model, CPU, its first signature, one float32 input, float32 outputs.
 */
#include "../../benchmarks/android/native/litert.h"

#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OUTPUTS = 8 };

typedef struct {
    Handle environment, model, options, compiled, input, outputs[MAX_OUTPUTS];
    size_t input_bytes, output_bytes[MAX_OUTPUTS], output_count;
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
    OR_RETURN(LiteRtGetNumSignatureOutputs(signature, &s->output_count), 0);
    OR_RETURN(s->output_count > MAX_OUTPUTS, 0);
    for (size_t i = 0; i < s->output_count; i++) {
        OR_RETURN(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor), 0);
        OR_RETURN(LiteRtGetRankedTensorType(tensor, &type), 0);
        OR_RETURN(LiteRtGetCompiledModelOutputBufferRequirements(s->compiled, 0, i, &requirements), 0);
        OR_RETURN(LiteRtCreateManagedTensorBufferFromRequirements(s->environment, &type, requirements, &s->outputs[i]), 0);
        OR_RETURN(LiteRtGetTensorBufferPackedSize(s->outputs[i], &s->output_bytes[i]), 0);
    }
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
    for (size_t i = 0; i < MAX_OUTPUTS; i++)
        if (s->outputs[i]) LiteRtDestroyTensorBuffer(s->outputs[i]);
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

static jfloatArray read_output(JNIEnv *env, Session *s, size_t index) {
    jsize values = (jsize)(s->output_bytes[index] / sizeof(float));
    jfloatArray array = (*env)->NewFloatArray(env, values);
    void *memory;
    OR_RETURN(LiteRtLockTensorBuffer(s->outputs[index], &memory, LOCK_READ), NULL);
    if (array) (*env)->SetFloatArrayRegion(env, array, 0, values, memory);
    OR_RETURN(LiteRtUnlockTensorBuffer(s->outputs[index]), NULL);
    return array;
}

JNIEXPORT jint JNICALL Java_com_google_ai_edge_litert_Bridge_outputs(JNIEnv *env, jclass unused, jlong handle) {
    (void)env;
    (void)unused;
    return (jint)((Session *)(intptr_t)handle)->output_count;
}

JNIEXPORT jobjectArray JNICALL Java_com_google_ai_edge_litert_Bridge_run(JNIEnv *env, jclass unused, jlong handle, jfloatArray clip) {
    (void)unused;
    Session *s = (Session *)(intptr_t)handle;
    jsize samples = (*env)->GetArrayLength(env, clip);
    void *memory;
    if (samples * sizeof(float) != s->input_bytes) {
        throw_failure(env, "a clip of another length than the model's input", samples);
        return NULL;
    }
    OR_RETURN(LiteRtLockTensorBuffer(s->input, &memory, LOCK_WRITE), NULL);
    (*env)->GetFloatArrayRegion(env, clip, 0, samples, memory);
    OR_RETURN(LiteRtUnlockTensorBuffer(s->input), NULL);
    OR_RETURN(LiteRtRunCompiledModel(s->compiled, 0, 1, &s->input, s->output_count, s->outputs), NULL);
    jobjectArray arrays = (*env)->NewObjectArray(env, (jsize)s->output_count, (*env)->FindClass(env, "[F"), NULL);
    for (size_t i = 0; arrays && i < s->output_count; i++) {
        jfloatArray array = read_output(env, s, i);
        if (!array) return NULL;
        (*env)->SetObjectArrayElement(env, arrays, (jsize)i, array);
    }
    return arrays;
}

JNIEXPORT void JNICALL Java_com_google_ai_edge_litert_Bridge_close(JNIEnv *env, jclass unused, jlong handle) {
    (void)env;
    (void)unused;
    close_session((Session *)(intptr_t)handle);
}
