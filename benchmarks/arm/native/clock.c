/* A clock that stands still, preloaded into the armv7 guest. TFLite's matrix library ruy looks every 250 ms whether its core has changed, so what a
 * call executes would depend on how fast the emulator is. Nothing in the guest waits for time to pass.
 */
struct timespec {
  long seconds, nanoseconds; /* 32 bits both: what glibc's clock_gettime has on armhf in bookworm */
};

int clock_gettime(int clock, struct timespec *now) {
  (void)clock;
  now->seconds = 1000000000; /* long after any time that is stored as 0 */
  now->nanoseconds = 0;
  return 0;
}
