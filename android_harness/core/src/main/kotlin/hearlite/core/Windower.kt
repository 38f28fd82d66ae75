package hearlite.core

import kotlin.math.min

/**
 * Cuts a stream into windows of [windowSamples], one every [hopSamples], as `hearlite/audio/decode.py` cuts a recording: every window that fits, then
 * one that ends where the sound ends; a sound shorter than a window gets zeros after it.
 *
 * @param gridSamples the last window starts at a multiple of this, and may reach beyond the sound's end, where zeros follow
 */
class Windower(val windowSamples: Int, val hopSamples: Int, private val gridSamples: Int = 1) {
    private val ring: RingBuffer

    /** How many samples were pushed. */
    var received = 0L
        private set
    private var nextEnd = windowSamples.toLong()
    private var covered = 0L

    init {
        if (hopSamples !in 1..windowSamples) {
            throw HearliteException("the hop is $hopSamples samples", "use 1 to $windowSamples: a longer hop would skip sound")
        }
        ring = RingBuffer(windowSamples)
    }

    /** Takes the first [count] of [samples]; calls [onWindow] with every window that they complete and the number of its first sample. */
    fun push(samples: FloatArray, count: Int = samples.size, onWindow: (first: Long, window: FloatArray) -> Unit) {
        var at = 0
        while (at < count) {
            val run = min((count - at).toLong(), nextEnd - received).toInt()
            ring.push(samples, at, run)
            at += run
            received += run
            if (received == nextEnd) {
                onWindow(received - windowSamples, ring.latest())
                covered = received
                nextEnd += hopSamples
            }
        }
    }

    /** The sound has ended: calls [onWindow] with its last window unless all of it was covered. */
    fun finish(onWindow: (first: Long, window: FloatArray) -> Unit) {
        if (covered == received) return
        val over = maxOf(0L, received - windowSamples)
        val first = (over + gridSamples - 1) / gridSamples * gridSamples
        onWindow(first, ring.latest((received - first).toInt()).copyOf(windowSamples))
        covered = received
    }
}
