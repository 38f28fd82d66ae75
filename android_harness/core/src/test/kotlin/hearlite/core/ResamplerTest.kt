package hearlite.core

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.log10
import kotlin.math.pow
import kotlin.math.roundToInt
import kotlin.math.sin
import kotlin.math.sqrt
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** The response that the resampler's documentation states, measured with tones. The numbers here are a phone's: a file for 16 kHz, int16. */
class ResamplerTest {
    private fun resampler(fromHz: Int, toHz: Int = 16_000) = Resampler(fromHz, toHz, highHz = 7_800.0, fullScale = 32_768)

    private fun tone(hz: Double, rateHz: Int) = FloatArray(rateHz) { sin(2 * PI * hz * it / rateHz).toFloat() }

    private fun all(resampler: Resampler, sound: FloatArray) = resampler.push(sound) + resampler.finish()

    /** Gain in dB of a tone, by rms away from the ends. */
    private fun gainDb(fromHz: Int, hz: Double): Double {
        val out = all(resampler(fromHz), tone(hz, fromHz)).let { it.copyOfRange(it.size / 4, 3 * it.size / 4) }
        return 20 * log10(maxOf(sqrt(2 * out.sumOf { it.toDouble() * it } / out.size), 1e-12))
    }

    @Test
    fun `flat where the spectrogram listens`() {
        for (rate in listOf(44_100, 48_000)) for (hz in listOf(20.0, 100.0, 1_000.0, 4_000.0, 7_000.0, 7_800.0)) {
            assertEquals("$rate Hz, $hz Hz", 0.0, gainDb(rate, hz), 0.001)
        }
    }

    @Test
    fun `silent from where aliases would be heard`() {
        val worst = listOf(44_100, 48_000).map { rate -> rate to (8_200..rate / 2 - 100 step 487).maxOf { gainDb(rate, it.toDouble()) } }
        println("stopband of the resampler: ${worst.joinToString { (rate, db) -> "$rate Hz %.1f dB".format(db) }}")
        for ((rate, db) in worst) assertTrue("$rate Hz: $db dB", db < -90.0)
    }

    @Test
    fun `no delay, and constants pass unchanged`() {
        for (rate in listOf(8_000, 22_050, 44_100, 48_000)) {
            val out = all(resampler(rate), tone(440.0, rate))
            val expected = tone(440.0, 16_000)
            for (i in 1_000 until 15_000) assertEquals("$rate Hz at $i", expected[i], out[i], 1e-4f)
            val constant = all(resampler(rate), FloatArray(rate) { 0.5f })
            for (i in 1_000 until 15_000) assertEquals(0.5f, constant[i], 1e-6f)
        }
    }

    @Test
    fun `the length is the rounded ratio and blocks don't matter`() {
        for (rate in listOf(8_000, 44_100, 48_000)) for (samples in listOf(1, 2, 699, 12_345)) {
            val sound = FloatArray(samples) { sin(it * 0.1).toFloat() }
            val whole = all(resampler(rate), sound)
            assertEquals((samples * 16_000.0 / rate).roundToInt(), whole.size)
            val stream = resampler(rate)
            val blocks = sound.asList().chunked(37).flatMap { stream.push(it.toFloatArray()).asList() } + stream.finish().asList()
            assertArrayEquals(whole, blocks.toFloatArray(), 0f)
        }
    }

    @Test
    fun `an equal rate changes nothing`() {
        val sound = tone(440.0, 16_000)
        assertArrayEquals(sound, all(resampler(16_000), sound), 0f)
    }

    @Test
    fun `attenuation follows the manifest's full scale`() {
        val coarse = Resampler(48_000, 16_000, highHz = 7_800.0, fullScale = 4_096)
        val out = all(coarse, tone(9_000.0, 48_000)).drop(2_000).take(10_000)
        val peak = out.maxOf { abs(it) }
        assertTrue("$peak", peak < 10.0.pow(-70 / 20.0) && peak > 10.0.pow(-100 / 20.0))
    }

    @Test
    fun `a rate of nothing is refused`() {
        for (rate in listOf(0, -1)) assertTrue("a sampling rate is $rate Hz" in refused { resampler(rate) })
    }
}
