/* A QEMU plugin that counts how often every translated block runs between two marks: exact, and the same every time.
 *
 *     qemu-aarch64 -plugin counter.so,out=FILE ...
 *
 * A mark is the guest's system call lseek(-0x4845, k), which fails, or on arm, where Python makes it and would raise an exception that is counted,
 * lseek(any file, 0x4845 << 32 | k). Odd k opens window (k - 1) / 2, even k closes it. A closed window is written as
 *     window INDEX INSTRUCTIONS
 *     block ADDRESS INSTRUCTIONS_PER_RUN RUNS CODE      for every block that ran in it; CODE in hexadecimal
 * and the end of the process as
 *     end VCPUS                                         threads that the guest ever had
 * A file without its last line is of a process that died.
 *
 * Debian ships no qemu-plugin.h, so what is used of plugin API version 1 (QEMU 4.2 to 8.x) is declared here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
typedef uint64_t PluginId;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
  const char *target_name;
  struct {
    int min, cur;
  } version;
  bool system_emulation;
  struct {
    int smp_vcpus, max_vcpus;
  } system;
} Info;
enum { INLINE_ADD = 0 }; /* QEMU_PLUGIN_INLINE_ADD_U64 */
EXPORT int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_init_cb(PluginId, void (*)(PluginId, unsigned));
void qemu_plugin_register_vcpu_tb_trans_cb(PluginId, void (*)(PluginId, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(
    PluginId, void (*)(PluginId, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_atexit_cb(PluginId, void (*)(PluginId, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

typedef struct Block {
  struct Block *next_in_bucket, *next;
  uint64_t address, runs, runs_at_opening;
  size_t instructions, bytes;
  uint8_t code[];
} Block;

enum { BUCKETS = 1 << 16 };
static Block *buckets[BUCKETS], *blocks;
static FILE *out;
static int64_t lseek_number;
static bool halved; /* lseek takes its offset as two words, the upper one first */
static unsigned vcpus;
static volatile int locked; /* translation may happen on several threads */

static void lock(void) {
  while (__sync_lock_test_and_set(&locked, 1)) {
  }
}
static void unlock(void) { __sync_lock_release(&locked); }

static size_t bytes_of(struct qemu_plugin_tb *tb) {
  size_t bytes = 0;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) bytes += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
  return bytes;
}

static Block *new_block(struct qemu_plugin_tb *tb, size_t bytes) {
  Block *block = calloc(1, sizeof *block + bytes);
  if (!block) abort();
  block->address = qemu_plugin_tb_vaddr(tb);
  block->instructions = qemu_plugin_tb_n_insns(tb);
  block->bytes = bytes;
  uint8_t *to = block->code;
  for (size_t i = 0; i < block->instructions; i++) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
    size_t size = qemu_plugin_insn_size(instruction);
    memcpy(to, qemu_plugin_insn_data(instruction), size);
    to += size;
  }
  return block;
}

/* QEMU drops and translates blocks again as it likes: one address and length is one block here, whatever it does. */
static void translated(PluginId id, struct qemu_plugin_tb *tb) {
  uint64_t address = qemu_plugin_tb_vaddr(tb);
  size_t instructions = qemu_plugin_tb_n_insns(tb), bytes = bytes_of(tb);
  Block **bucket = &buckets[((address >> 1) * 2654435761u ^ instructions) % BUCKETS], *block;
  lock();
  for (block = *bucket; block; block = block->next_in_bucket)
    if (block->address == address && block->instructions == instructions && block->bytes == bytes) break;
  if (!block) {
    block = new_block(tb, bytes);
    block->next_in_bucket = *bucket;
    *bucket = block;
    block->next = blocks;
    blocks = block;
  }
  unlock();
  qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD, &block->runs, 1);
}

static void open_window(void) {
  for (Block *block = blocks; block; block = block->next) block->runs_at_opening = block->runs;
}

static void close_window(unsigned long long window) {
  unsigned long long instructions = 0;
  for (Block *block = blocks; block; block = block->next) instructions += (block->runs - block->runs_at_opening) * block->instructions;
  fprintf(out, "window %llu %llu\n", window, instructions);
  for (Block *block = blocks; block; block = block->next) {
    unsigned long long runs = block->runs - block->runs_at_opening;
    if (!runs) continue;
    fprintf(out, "block %llx %zu %llu ", (unsigned long long)block->address, block->instructions, runs);
    for (size_t i = 0; i < block->bytes; i++) fprintf(out, "%02x", block->code[i]);
    fputc('\n', out);
  }
}

static void system_call(PluginId id, unsigned vcpu, int64_t number, uint64_t file, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                        uint64_t a6, uint64_t a7, uint64_t a8) {
  if (number != lseek_number || (halved ? a2 != 0x4845 : (int32_t)file != -0x4845)) return;
  uint64_t mark = halved ? a3 : a2;
  lock();
  if (mark % 2)
    open_window();
  else
    close_window(mark / 2 - 1);
  unlock();
}

static void started(PluginId id, unsigned vcpu) {
  lock();
  if (vcpu + 1 > vcpus) vcpus = vcpu + 1;
  unlock();
}

static void finished(PluginId id, void *unused) {
  fprintf(out, "end %u\n", vcpus);
  fclose(out);
}

EXPORT int qemu_plugin_install(PluginId id, const Info *info, int count, char **arguments) {
  for (int i = 0; i < count; i++)
    if (!strncmp(arguments[i], "out=", 4)) out = fopen(arguments[i] + 4, "w");
  if (!out) return 1;
  if (!strcmp(info->target_name, "aarch64"))
    lseek_number = 62; /* linux/include/uapi/asm-generic/unistd.h */
  else if (!strcmp(info->target_name, "x86_64"))
    lseek_number = 8; /* linux/arch/x86/entry/syscalls/syscall_64.tbl */
  else if (!strcmp(info->target_name, "arm"))
    lseek_number = 140, halved = true; /* _llseek of linux/arch/arm/tools/syscall.tbl, which glibc's lseek calls with 64-bit offsets */
  else
    return 1;
  qemu_plugin_register_vcpu_init_cb(id, started);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, system_call);
  qemu_plugin_register_atexit_cb(id, finished, NULL);
  return 0;
}
