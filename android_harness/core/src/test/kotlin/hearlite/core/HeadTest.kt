package hearlite.core

import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test

class HeadTest {
    private fun manifest(vararg changes: Pair<String, String>): Manifest {
        val text = changes.fold(HEAD) { old, (from, to) -> old.replace(from, to).also { check(it != old) { "$from is not there" } } }
        return Manifest.parse(manifestText("\"golden_tolerance\"" to "\"head\": $text, \"golden_tolerance\""), "m.json")
    }

    @Test
    fun `labels and scores come from the manifest`() {
        val head = manifest().head!!
        assertEquals(listOf("wet", "dry"), head.labels.map { it.name })
        assertEquals(listOf(0.25, 0.5), head.labels.map { it.threshold })
        assertArrayEquals(floatArrayOf(0.5f, 0.125f), head.goldenScores, 0f)
        assertNull(Manifest.parse(manifestText(), "m.json").head)
        assertNull(Manifest.parse(manifestText("\"golden_tolerance\"" to "\"head\": null, \"golden_tolerance\""), "m.json").head)
    }

    @Test
    fun `a sigmoid calls what reaches its threshold and a softmax the highest`() {
        val scores = floatArrayOf(0.25f, 0.4375f)
        assertEquals(listOf("wet"), manifest().head!!.called(scores).map { it.name })
        assertEquals(listOf("dry"), manifest("sigmoid" to "softmax").head!!.called(scores).map { it.name })
        assertTrue("1 scores for 2 labels" in refused { manifest().head!!.called(FloatArray(1)) })
    }

    @Test
    fun `hostile heads are refused`() {
        for ((from, to, says) in listOf(
            Triple("sigmoid", "oracle", "head: kind is oracle, this library reads [sigmoid, softmax]"),
            Triple("\"dry\"", "\"wet\"", "labels are [wet, wet], expected different ones"),
            Triple("\"dry\"", "\"d\\u000ay\"", "a label is \"d\\u000ay\", expected 1 to 100 printable"),
            Triple("\"dry\"", "\"\"", "a label is \"\", expected 1 to 100 printable"),
            Triple("\"threshold\": 0.5", "\"threshold\": 1.5", "the threshold of dry is 1.5, expected 0 to 1"),
            Triple("[0.5, 0.125]", "[0.5]", "golden_scores has 1 values, expected 2"),
            Triple("\"labels\": [", "\"labels\": [7, ", "labels is"),
            Triple("\"output\": \"scores\", ", "", "head: output is missing"),
        )) {
            val message = refused { manifest(from to to) }
            assertTrue("$message doesn't say $says", says in message)
        }
    }

    @Test
    fun `scores are Python's`() {
        val headed = Vectors.models.filter { Manifest.read(it).head != null }
        assumeTrue("no file with a head among the vectors", headed.isNotEmpty())
        for (file in headed) LiteRt(file).use { model ->
            val manifest = Manifest.read(file)
            var largest = 0f
            for (name in Vectors.sounds) {
                val expected = Vectors.scores(name, manifest)
                val found = Timeline.of(Vectors.sound(name, manifest), manifest, model, Vectors.hopS).map { it.scores }
                assertEquals(name, expected.size, found.size)
                expected.zip(found) { e, f -> assertArrayEquals(name, e, f, TOLERANCE) }
                largest = maxOf(largest, expected.zip(found) { e, f -> e.indices.maxOf { abs(e[it] - f[it]) } }.max())
            }
            println("scores ${manifest.name}: largest difference $largest")
            assertTrue(checkParity(model, manifest, Vectors.sound("golden", manifest)).scoreDifference!! <= TOLERANCE)
        }
    }

    private companion object {
        const val TOLERANCE = 1e-6f // a float32 layer: sums may be in another order elsewhere
        const val HEAD = """{"kind": "sigmoid", "output": "scores", "golden_scores": [0.5, 0.125],
            "labels": [{"name": "wet", "auroc": 0.9, "threshold": 0.25}, {"name": "dry", "auroc": 0.8, "threshold": 0.5}]}"""
    }
}
