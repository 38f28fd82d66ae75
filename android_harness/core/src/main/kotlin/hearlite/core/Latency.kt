package hearlite.core

import kotlin.math.floor

/** Milliseconds of one clip, raw audio to embedding, over [runs] calls after [warmup] that don't count. */
class Latency(val runs: Int, val warmup: Int, val coldMs: Double, val medianMs: Double, val p5Ms: Double, val p95Ms: Double, val meanMs: Double)

/**
 * Times [embedder] on [clip] `[clipSamples]`. [Latency.coldMs] is the first call in this process of an embedder that is open.
 *
 * @param nanoTime a monotonic clock
 */
fun measureLatency(embedder: Embedder, clip: FloatArray, runs: Int, warmup: Int, nanoTime: () -> Long = System::nanoTime): Latency {
    if (runs < 1 || warmup < 1) throw HearliteException("runs is $runs and warmup $warmup", "use 1 or more of both")
    val timesMs = DoubleArray(warmup + runs) {
        val start = nanoTime()
        embedder.embed(clip)
        (nanoTime() - start) / 1e6
    }
    val sorted = timesMs.copyOfRange(warmup, timesMs.size).apply { sort() }
    return Latency(
        runs = runs,
        warmup = warmup,
        coldMs = timesMs.first(),
        medianMs = percentile(sorted, 50.0),
        p5Ms = percentile(sorted, 5.0),
        p95Ms = percentile(sorted, 95.0),
        meanMs = sorted.average(),
    )
}

/** By linear interpolation, as numpy's default. */
internal fun percentile(sorted: DoubleArray, percent: Double): Double {
    val place = percent / 100 * (sorted.size - 1)
    val low = floor(place).toInt()
    val high = minOf(low + 1, sorted.size - 1)
    return sorted[low] + (place - low) * (sorted[high] - sorted[low])
}
