package hearlite.core

/**
 * Joins the scores of overlapping windows: those of a step are the mean over the windows that hold it. Windows follow each other by [hop] steps, half
 * of theirs, so that a step near the end of one is nearer the middle of the next.
 *
 * @param steps of a window
 */
class ScoreTimeline(val steps: Int, private val classes: Int) {
    val hop: Int = maxOf(1, steps / 2)

    /** Step at which what is held starts. */
    var first = 0L
        private set
    private val sums = DoubleArray(steps * classes)
    private val counts = IntArray(steps) // of windows that hold a step: those before the first 0 were heard

    /** Adds a window that starts at step [first], `[steps * classes]`; returns the steps before it, which no later one holds. */
    fun add(first: Long, scores: FloatArray): List<FloatArray> {
        val ready = take((first - this.first).toInt())
        for (i in sums.indices) sums[i] += scores[i].toDouble()
        for (i in counts.indices) counts[i]++
        return ready
    }

    /** The steps that are left. */
    fun finish(): List<FloatArray> = take(steps)

    private fun take(count: Int): List<FloatArray> {
        val heard = counts.count { it > 0 }
        val ready = List(minOf(count, heard)) { step -> FloatArray(classes) { (sums[step * classes + it] / counts[step]).toFloat() } }
        sums.copyInto(sums, 0, count * classes)
        sums.fill(0.0, (steps - count) * classes)
        counts.copyInto(counts, 0, count)
        counts.fill(0, steps - count)
        first += count
        return ready
    }
}
