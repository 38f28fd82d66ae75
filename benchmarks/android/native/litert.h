/* What hearlite's C programs call of LiteRT's C API, written out after the headers in litert/c of LiteRT 2.3.0 (Apache-2.0): neither its Python
 * package nor its AAR brings them. Older versions differ (LiteRtCreateModelFromFile had no environment before 2.1.6). */
#ifndef HEARLITE_LITERT_H
#define HEARLITE_LITERT_H

#include <stddef.h>
#include <stdint.h>

typedef int Status; /* 0: kLiteRtStatusOk */
typedef void *Handle;
typedef struct { /* LiteRtRankedTensorType */
    int32_t element_type;
    uint32_t rank_and_strides; /* rank and flags share a word */
    int32_t dimensions[8];
    uint32_t strides[8];
} TensorType;

enum { CPU = 1 /* kLiteRtHwAcceleratorCpu */, LOCK_READ = 0, LOCK_WRITE = 1 /* LiteRtTensorBufferLockMode */ };

Status LiteRtCreateEnvironment(int count, const void *options, Handle *environment);
Status LiteRtCreateModelFromFile(Handle environment, const char *path, Handle *model);
Status LiteRtCreateOptions(Handle *options);
Status LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
Status LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *compiled);
Status LiteRtGetModelSignature(Handle model, size_t index, Handle *signature);
Status LiteRtGetNumSignatureInputs(Handle signature, size_t *count);
Status LiteRtGetNumSignatureOutputs(Handle signature, size_t *count);
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

#endif
