package hearlite.core

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.log10
import kotlin.math.min
import kotlin.math.sin
import kotlin.math.sqrt

/**
 * A stream of mono samples from one rate to another, for microphones that only give 44.1 or 48 kHz.
 *
 * Polyphase windowed sinc with linear phase and no delay: output sample k is the sound at k / [toHz] seconds. Its response, which
 * `ResamplerTest` measures: flat up to [passHz], down to 1 / fullScale from [stopHz] on, so that what folds back stays below one step of int16.
 * Between them it falls. What folds back from there lands above [passHz], where the spectrogram inside the file does not listen.
 *
 * @param highHz upper edge of the spectrogram, the manifest's `high_hz`
 * @param fullScale steps of PCM, the manifest's `pcm_full_scale`: sets the attenuation, 20 log10(fullScale) dB
 */
class Resampler(val fromHz: Int, val toHz: Int, highHz: Double, fullScale: Int) {
    private val common = gcd(positive(fromHz), positive(toHz))
    private val up = toHz / common
    private val down = fromHz / common
    private val nyquistHz = min(fromHz, toHz) / 2.0

    /** Upper edge of the band that passes unchanged. */
    val passHz: Double = min(highHz, WIDEST_PASS * nyquistHz)

    /** Lower edge of the band that is removed. */
    val stopHz: Double = 2 * nyquistHz - passHz

    private val attenuationDb = 20 * log10(fullScale.toDouble())
    private val reach = reach()
    private val filters = Array(up) { filter(phase = it) } // one per position between two inputs, each [2 reach + 1]

    private var held = FloatArray(reach) // inputs from heldFrom on; the sound is silent before it starts
    private var heldFrom = -reach.toLong()
    private var received = 0L
    private var emitted = 0L

    /** The outputs that the first [count] of [samples] complete. */
    fun push(samples: FloatArray, count: Int = samples.size): FloatArray {
        if (fromHz == toHz) return samples.copyOf(count)
        received += count
        return take(samples, count, until = ((received - reach) * up + down - 1) / down) // the last output whose every input is there
    }

    /** The rest, after the sound's end. In all there are `round(inputs * toHz / fromHz)` outputs. */
    fun finish(): FloatArray {
        if (fromHz == toHz) return FloatArray(0)
        return take(FloatArray(reach + 1), reach + 1, until = (2 * received * up + down) / (2 * down))
    }

    private fun take(samples: FloatArray, count: Int, until: Long): FloatArray {
        held = held.copyOf(held.size + count).also { samples.copyInto(it, held.size, 0, count) }
        val out = FloatArray(maxOf(0L, until - emitted).toInt()) { output(emitted + it) }
        emitted += out.size
        val keep = emitted * down / up - reach // the first input that the next output needs
        if (keep > heldFrom) {
            val drop = min(keep - heldFrom, held.size.toLong()).toInt()
            held = held.copyOfRange(drop, held.size)
            heldFrom += drop
        }
        return out
    }

    private fun output(k: Long): Float {
        val position = k * down
        val filter = filters[(position % up).toInt()]
        val first = (position / up - reach - heldFrom).toInt()
        var sum = 0.0
        for (tap in filter.indices) sum += filter[tap] * held[first + tap]
        return sum.toFloat()
    }

    /** Inputs on either side of an output that its filter reaches: Kaiser's length for attenuation and transition (Oppenheim and Schafer, 7.6). */
    private fun reach(): Int {
        val transition = 2 * PI * (stopHz - passHz) / fromHz
        return ceil((attenuationDb - 7.95) / (2.285 * transition) / 2).toInt()
    }

    private fun filter(phase: Int): FloatArray {
        val beta = 0.1102 * (attenuationDb - 8.7) // Kaiser's, for more than 50 dB
        val cutoff = (passHz + stopHz) / fromHz // both bands' middle, in cycles per two inputs
        val taps = DoubleArray(2 * reach + 1) { tap ->
            val distance = reach - tap + phase.toDouble() / up // inputs from the output's place
            val edge = distance / (reach + 1)
            val window = if (abs(edge) < 1) bessel0(beta * sqrt(1 - edge * edge)) else 0.0
            window * if (distance == 0.0) 1.0 else sin(PI * cutoff * distance) / (PI * cutoff * distance)
        }
        val sum = taps.sum() // every phase passes a constant exactly
        return FloatArray(taps.size) { (taps[it] / sum).toFloat() }
    }

    private companion object {
        const val WIDEST_PASS = 0.975 // of the Nyquist frequency, for spectrograms that look up to it: a filter needs room to fall

        fun positive(rateHz: Int): Int =
            if (rateHz > 0) rateHz else throw HearliteException("a sampling rate is $rateHz Hz", "expected more than 0")
    }
}

private tailrec fun gcd(a: Int, b: Int): Int = if (b == 0) a else gcd(b, a % b)

/** Modified Bessel function of the first kind, order 0, by its series; exact to double precision for the arguments of Kaiser windows. */
private fun bessel0(x: Double): Double {
    var term = 1.0
    var sum = 1.0
    var k = 1
    while (term > sum * 1e-17) {
        term *= (x / (2 * k)) * (x / (2 * k))
        sum += term
        k++
    }
    return sum
}
