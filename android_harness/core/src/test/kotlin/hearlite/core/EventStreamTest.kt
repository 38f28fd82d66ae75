package hearlite.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class EventStreamTest {
    private val manifest = Manifest.parse(eventManifestText(), "m.json") // 8 Hz, windows of 1 s, full scale 4, steps of 2 samples

    private fun stream(embedder: Embedder = LoudestEmbedder(), startS: Double = 0.0) =
        EventStream(manifest, embedder, sourceRateHz = 8, startS = startS, keepScores = true)

    /** 4 s with sound from 1.25 to 2 s, and in the last sample. */
    private val sound = FloatArray(33) { if (it in 10..15 || it == 32) 0.75f else if (it % 2 == 0) 0f else 0.25f }

    private fun times(events: List<Event>) = events.map { it.startS to it.endS }

    @Test
    fun `events have their place, and end with the sound`() {
        val stream = stream(startS = 100.0)
        assertEquals(listOf(101.25 to 102.0, 104.0 to 104.125), times(stream.push(sound) + stream.finish()))
        assertEquals(104.125, stream.heardS, 0.0)
        assertEquals(17, stream.timeline.size) // the last window reaches beyond the sound, its scores don't
    }

    @Test
    fun `pieces don't matter`() {
        val whole = stream().also { it.push(sound) + it.finish() }
        for (piece in listOf(1, 2, 5, 32)) {
            val stream = stream()
            val found = sound.asList().chunked(piece).flatMap { stream.push(it.toFloatArray() + 9f, it.size) } + stream.finish()
            assertEquals(listOf(1.25 to 2.0, 4.0 to 4.125), times(found))
            whole.timeline.zip(stream.timeline) { e, f -> assertArrayEquals(e, f, 0f) }
        }
    }

    @Test
    fun `a gap ends what was going on`() {
        val stream = stream()
        val loud = FloatArray(12) { 0.75f * (it % 2) }
        assertEquals(emptyList<Event>(), stream.push(loud))
        assertEquals(listOf(0.0 to 1.5), times(stream.restart(60.0)))
        assertEquals(60.0, stream.heardS, 0.0)
        assertEquals(listOf(60.0 to 61.5), times(stream.push(loud) + stream.finish()))
        assertEquals(emptyList<Event>(), stream.finish())
    }

    @Test
    fun `samples are rounded to PCM, and silence is not scored`() {
        val embedder = LoudestEmbedder()
        val stream = stream(embedder)
        stream.push(floatArrayOf(0.125f, 0.375f, -0.125f, -0.05f, 0.7f, -1f, 0.2f, 0f)) // of steps of a quarter, half to even
        assertArrayEquals(floatArrayOf(0f, 0.5f, 0f, 0f, 0.75f, -1f, 0.25f, 0f), embedder.clips.single(), 0f)
        stream.restart(0.0)
        stream.push(FloatArray(24) { 0.5f })
        assertEquals(1, embedder.clips.size)
        assertTrue("NaN or infinite samples" in refused { stream.push(FloatArray(8) { Float.NaN }) })
    }

    @Test
    fun `what doesn't fit is refused`() {
        for (output in listOf(FloatArray(3), FloatArray(4) { Float.NaN })) {
            assertTrue("fake returned ${output.size} scores over time" in refused { stream(LoudestEmbedder { output }).push(sound) })
        }
        val plain = Manifest.parse(manifestText(), "m.json")
        assertTrue("no rules for events" in refused { EventStream(plain, EndsEmbedder(), 8) })
        val others = EventRules(0.5, manifest.events!!.classes, 0.0, 0.0)
        assertTrue("don't fit rules for events of [cough] in steps of 0.5 s" in refused { EventStream(manifest, EndsEmbedder(), 8, rules = others) })
    }

    @Test
    fun `rules come from the manifest`() {
        val rules = manifest.events!!
        assertEquals(listOf(0.75, 0.5, 0.25, 0.25), listOf(rules.classes.single().on, rules.classes.single().off, rules.shortestS, rules.gapS))
        assertEquals(listOf(4, 0.25, "", "scores_steps"), with(manifest.steps!!) { listOf(count, stepS, embedding, scores) })
    }

    @Test
    fun `hostile rules are refused`() {
        for ((from, to, says) in listOf(
            Triple("\"count\": 4", "\"count\": 20000", "m.json: 20000 steps of 0.25 s"),
            Triple("\"scores_steps\"", "\"scores steps\"", "an output over time is \"scores steps\"; expected an identifier"),
            Triple("\"scores_steps\"", "\"\"", "with outputs []"),
            Triple("\"embedding\": \"\", \"scores\": \"scores_steps\"", "\"embedding\": \"e\", \"scores\": \"\"", "and its scores over time"),
            Triple("\"off\": 0.5", "\"off\": 0.9", "events of cough begin at 0.75 and end below 0.9; expected 0 < off <= on < 1"),
            Triple("\"on\": 0.75", "\"on\": 1.0", "events of cough begin at 1.0"),
            Triple("\"label\": \"cough\"", "\"label\": \"sneeze\"", "rules for events of [sneeze]; expected a head with the same labels"),
            Triple("\"events\": {\"step_s\": 0.25", "\"events\": {\"step_s\": 0.5", "steps are 0.25 s, those of events 0.5 s"),
            Triple("\"shortest_s\": 0.25", "\"shortest_s\": 61", "the shortest event 61.0 s"),
            Triple("\"gap_s\": 0.25", "\"gap_s\": -1", "gaps -1.0 s"),
            Triple("\"classes\": [", "\"classes\": [], \"more\": [", "classes of events are []"),
        )) {
            val message = refused { Manifest.parse(eventManifestText(from to to), "m.json") }
            assertTrue("$message doesn't say $says", says in message)
        }
    }
}
