package hearlite.core

import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test

/** A minute gives the scores over time and the events that it gives in Python, by real inference. */
class EventGoldenTest {
    @Test
    fun `at the manifest's rate they are Python's`() = eachSound { name, manifest, model, atItsRate ->
        if (!atItsRate) return@eachSound
        val stream = EventStream(manifest, model, manifest.sampleRateHz, keepScores = true)
        val sound = Vectors.sound(name, manifest).readAll(block = 4096)
        val found = stream.push(sound) + stream.finish()
        val expected = Vectors.timeline(name, manifest)
        assertEquals(expected.size, stream.timeline.size)
        expected.zip(stream.timeline) { e, f -> assertArrayEquals(name, e, f, TOLERANCE) }
        val events = Vectors.events(name, manifest)
        assertTrue("${events.size} events", events.size >= SEVERAL && events.map { it.label }.toSet() == manifest.events!!.classes.map { it.label }.toSet())
        assertEquals(events.map { it.copy(score = 0.0) }, found.map { it.copy(score = 0.0) })
        events.zip(found) { e, f -> assertEquals(e.score, f.score, TOLERANCE.toDouble()) }
        val largest = expected.zip(stream.timeline) { e, f -> e.indices.maxOf { abs(e[it] - f[it]) } }.max()
        println("events ${manifest.name}, $name: ${found.size}, largest difference of a score $largest")
    }

    @Test
    fun `from a microphone of another rate they are nearly Python's`() = eachSound { name, manifest, model, atItsRate ->
        if (atItsRate) return@eachSound
        val found = EventStream.of(Vectors.sound(name, manifest), manifest, model)
        val events = Vectors.events(name, manifest)
        val stepS = manifest.steps!!.stepS
        val near = events.count { e -> found.any { e.label == it.label && maxOf(abs(e.startS - it.startS), abs(e.endS - it.endS)) < 1.5 * stepS } }
        println("events ${manifest.name}, $name: $near of ${events.size} within a step of Python's, ${found.size} found")
        if (manifest.precision != "i8") assertEquals(events.map { it.label }, found.map { it.label })
        assertTrue("$near of ${events.size}", near >= if (manifest.precision == "i8") LEAST_INT8 * events.size else 1.0 * events.size)
    }

    private fun eachSound(check: (name: String, manifest: Manifest, model: Embedder, atItsRate: Boolean) -> Unit) {
        val files = Vectors.models.filter { Manifest.read(it).events != null }
        assumeTrue("no file with rules for events among the vectors", files.isNotEmpty())
        for (file in files) LiteRt(file).use { model ->
            val manifest = Manifest.read(file)
            for (name in Vectors.eventful) check(name, manifest, model, Vectors.sound(name, manifest).sampleRateHz == manifest.sampleRateHz)
        }
    }

    private companion object {
        const val TOLERANCE = 1e-6f // a float32 layer: sums may be in another order elsewhere
        const val SEVERAL = 4
        const val LEAST_INT8 = 0.75 // a hardly trained student, as in GoldenTest
    }
}
