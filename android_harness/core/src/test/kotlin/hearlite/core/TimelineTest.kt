package hearlite.core

import kotlin.math.sqrt
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class TimelineTest {
    private val manifest = Manifest.parse(manifestText(), "m.json")

    private fun sound(vararg samples: Int) = WavFile(wav(8, 1, 16, 1, pcm16(*samples)), "x.wav", manifest.pcmFullScale)

    @Test
    fun `moments carry their time, as they come`() {
        val heard = ArrayList<Int>()
        val moments = Timeline.of(sound(*IntArray(18) { it }), manifest, EndsEmbedder(), hopS = 0.5) { heard += it.size }
        assertEquals(listOf(0.0, 0.5, 1.0, 1.25), moments.map { it.startS })
        assertEquals(listOf(1f, 2.75f), moments[1].embedding.asList().let { (a, b) -> listOf(a, b) })
        assertEquals(4, heard.sum())
    }

    @Test
    fun `an embedder of another size or with NaN is refused`() {
        for (output in listOf(FloatArray(3), floatArrayOf(Float.NaN, 0f))) {
            val wrong = object : Embedder {
                override val runtime = "wrong"

                override fun embed(clip: FloatArray) = output
            }
            assertTrue("wrong returned ${output.size} values" in refused { Timeline.of(sound(1), manifest, wrong, hopS = 1.0) })
        }
    }

    @Test
    fun `pools and cosines`() {
        val vectors = listOf(floatArrayOf(1f, -2f), floatArrayOf(3f, -6f))
        assertArrayEquals(floatArrayOf(2f, -4f), meanPool(vectors), 0f)
        assertArrayEquals(floatArrayOf(3f, -2f), maxPool(vectors), 0f)
        assertEquals(1.0, cosine(vectors[0], vectors[1]), 1e-12)
        assertEquals(-1 / sqrt(2.0), cosine(floatArrayOf(1f, 0f), floatArrayOf(-1f, 1f)), 1e-12)
        assertEquals(0.0, cosine(floatArrayOf(0f, 0f), vectors[0]), 0.0)
        assertTrue("[2, 1]" in refused { meanPool(vectors + listOf(FloatArray(1))) })
        assertTrue("[]" in refused { maxPool(emptyList()) })
        assertTrue("2 and 1 dimensions" in refused { cosine(vectors[0], FloatArray(1)) })
    }

    @Test
    fun `PCM to float, over the full scale`() {
        assertArrayEquals(floatArrayOf(-1f, 0f, 0.75f), pcm16ToFloat(shortArrayOf(-4, 0, 3, 9), fullScale = 4, count = 3), 0f)
    }
}
