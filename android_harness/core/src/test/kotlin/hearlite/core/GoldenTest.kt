package hearlite.core

import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** The same sound gives what it gives in Python: windows bit by bit, and by real inference the embeddings, bit by bit for int8 files. */
class GoldenTest {
    private val manifests = Vectors.models.map { Manifest.read(it) }

    @Test
    fun `windows are Python's`() {
        val manifest = manifests.first()
        for (name in Vectors.sounds) {
            val found = windows(name, manifest)
            val expected = Vectors.windows(name, manifest)
            assertEquals(name, expected.size, found.size)
            expected.zip(found) { e, f -> assertArrayEquals(name, e, f, 0f) }
        }
    }

    @Test
    fun `embeddings and pools are Python's`() {
        assertTrue(manifests.map { it.precision }.containsAll(listOf("i8", "f32")))
        for ((file, manifest) in Vectors.models.zip(manifests)) LiteRt(file).use { model ->
            val tolerance = if (manifest.precision == "i8") 0f else FLOAT_TOLERANCE
            var windows = 0
            var largest = 0f
            for (name in Vectors.sounds) {
                val found = Timeline.of(Vectors.sound(name, manifest), manifest, model, Vectors.hopS).map { it.embedding }
                val expected = Vectors.embeddings(name, manifest)
                assertEquals(name, expected.size, found.size)
                expected.zip(found) { e, f -> assertArrayEquals("$name, ${manifest.name}", e, f, tolerance) }
                windows += found.size
                largest = maxOf(largest, expected.zip(found) { e, f -> e.indices.maxOf { abs(e[it] - f[it]) } }.max())
                assertArrayEquals(Vectors.pooled(name, manifest, "mean"), meanPool(found), FLOAT_TOLERANCE)
                assertArrayEquals(Vectors.pooled(name, manifest, "max"), maxPool(found), tolerance)
            }
            println("parity ${manifest.name}: $windows windows, largest difference $largest")
        }
    }

    @Test
    fun `the golden sound passes parity and another doesn't`() {
        for ((file, manifest) in Vectors.models.zip(manifests)) LiteRt(file).use { model ->
            val parity = checkParity(model, manifest, Vectors.sound("golden", manifest))
            assertEquals(if (manifest.precision == "i8") 0.0 else parity.relativeDifference, parity.relativeDifference, 0.0)
            assertTrue("${parity.relativeDifference}", parity.relativeDifference < FLOAT_TOLERANCE)
            assertTrue(!checkParity(model, manifest, Vectors.sound("short", manifest)).passed)
        }
    }

    @Test
    fun `a microphone of another rate gives nearly the same windows and embeddings`() {
        for ((file, manifest) in Vectors.models.zip(manifests)) LiteRt(file).use { model ->
            for (name in Vectors.resampled) {
                val expected = Vectors.windows(name, manifest)
                val found = windows(name, manifest)
                assertEquals(name, expected.size, found.size)
                val snrDb = expected.zip(found) { e, f -> snrDb(e, f) }.min()
                val cosines = Vectors.embeddings(name, manifest).zip(found) { e, f -> cosine(e, model.embed(f)) }
                println("$name, ${manifest.name}: least SNR to soxr's resampler %.1f dB, least cosine %.5f".format(snrDb, cosines.min()))
                assertTrue("$name: $snrDb dB", snrDb > LEAST_SNR_DB)
                assertTrue("$name: ${cosines.min()}", cosines.min() > if (manifest.precision == "i8") LEAST_INT8_COSINE else LEAST_COSINE)
            }
        }
    }

    private fun windows(name: String, manifest: Manifest): List<FloatArray> {
        val found = ArrayList<FloatArray>()
        val recorder = object : Embedder {
            override val runtime = "records what it is given"

            override fun embed(clip: FloatArray) = FloatArray(manifest.dim).also { found += clip }

            override fun infer(clip: FloatArray) = Inference(embed(clip), FloatArray(manifest.head?.labels?.size ?: 0))
        }
        Timeline.of(Vectors.sound(name, manifest), manifest, recorder, Vectors.hopS)
        return found
    }

    private companion object {
        const val FLOAT_TOLERANCE = 1e-5f // embeddings vary by about 1; XNNPACK may use other kernels elsewhere
        const val LEAST_SNR_DB = 30.0
        const val LEAST_COSINE = 0.99
        const val LEAST_INT8_COSINE = 0.95 // a hardly trained student: the two resamplers' difference above 7 kHz moves some of its int8 values
    }
}

private fun snrDb(expected: FloatArray, found: FloatArray): Double {
    val noise = expected.indices.sumOf { (expected[it].toDouble() - found[it]).let { d -> d * d } }
    return 10 * kotlin.math.log10(expected.sumOf { it.toDouble() * it } / noise)
}
