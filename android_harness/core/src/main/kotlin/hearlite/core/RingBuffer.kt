package hearlite.core

import kotlin.math.min

/** The latest [capacity] samples of a stream. */
class RingBuffer(val capacity: Int) {
    private val samples = FloatArray(capacity)
    private var next = 0

    /** Appends `[from, from + count)` of [source], which may be longer than the buffer. */
    fun push(source: FloatArray, from: Int, count: Int) {
        val skipped = maxOf(0, count - capacity)
        var at = from + skipped
        var left = count - skipped
        while (left > 0) {
            val run = min(left, capacity - next)
            source.copyInto(samples, next, at, at + run)
            next = (next + run) % capacity
            at += run
            left -= run
        }
    }

    /** A copy of the latest [count] samples, oldest first. Zeros stand for what was never pushed. */
    fun latest(count: Int = capacity): FloatArray = FloatArray(count) { samples[(next + capacity - count + it) % capacity] }
}
